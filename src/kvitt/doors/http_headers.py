"""Headers of a request as they came: names in small letters, and as often as they were sent."""

from collections.abc import Iterable, Mapping, Sequence

_BLANKS = b" \t"


def headers_of(came: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Headers by name. Blanks around a value are none of it (RFC 9110 §5.5), though parsers leave those at its end."""
    return {name.decode("latin-1"): value.strip(_BLANKS).decode("latin-1") for name, value in came}


def repeated_headers(headers: Iterable[tuple[bytes, bytes]], names: Sequence[str]) -> list[str]:
    """Those of `names` that are there more than once. Servers and what stands before them differ in which one they take."""
    came = [name for name, _ in headers]
    return [name for name in names if came.count(name.encode()) > 1]
