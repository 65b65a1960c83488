"""Headers of a request as they came: names in small letters, and as often as they were sent."""

from collections.abc import Iterable, Sequence


def repeated_headers(headers: Iterable[tuple[bytes, bytes]], names: Sequence[str]) -> list[str]:
    """Those of `names` that are there more than once. Servers and what stands before them differ in which one they take."""
    came = [name for name, _ in headers]
    return [name for name in names if came.count(name.encode()) > 1]
