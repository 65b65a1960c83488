"""One case as a JSON document: the fields of its history, bytes as the text that they are, amounts with their unit in the name."""

import msgspec

from kvitt.hub.history import CaseHistory

_KRONER = {"amount": "amount_kroner", "decided_rate": "decided_rate_kroner"}


def as_document(found: CaseHistory) -> str:
    """The history as indented JSON; the documents of payments and messages stand in it as they were, not as values of ours."""
    return msgspec.json.format(msgspec.json.encode(_plain(msgspec.to_builtins(found, builtin_types=(bytes,)))), indent=2).decode()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict):
        return {_KRONER.get(name, name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
