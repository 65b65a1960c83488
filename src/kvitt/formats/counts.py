"""Counts as people read them."""


def counted(count: int, what: str) -> str:
    """The count with what is counted, named as one of it: `1 order`, `2 orders`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
