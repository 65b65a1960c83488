"""Instants as Java's ISO_INSTANT writes them: UTC, `Z`, and as few digits of the second as it takes in threes (payouts §2.10)."""

import re
from datetime import UTC, datetime

_FORM = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z", re.ASCII)


def instant_text(moment: datetime) -> str:
    """The text of an instant with 0, 3 or 6 digits of the second; `moment` has a zone."""
    utc = moment.astimezone(UTC)
    digits = "" if not utc.microsecond else f".{utc.microsecond // 1000:03d}" if utc.microsecond % 1000 == 0 else f".{utc.microsecond:06d}"
    return f"{utc.replace(tzinfo=None, microsecond=0).isoformat()}{digits}Z"


def parse_instant(text: str) -> datetime:
    """The instant of a text with any number of digits up to nine; below a microsecond they are dropped. Raises ValueError."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("an instant is written YYYY-MM-DDThh:mm:ss[.fraction]Z")
    whole, fraction = found.groups()
    return datetime.fromisoformat(whole).replace(tzinfo=UTC, microsecond=int((fraction or "").ljust(6, "0")[:6]))
