"""Date-times as the contracts write them: Java LocalDateTime text, Oslo local time, instants, and dates with Oslo's offset.

Texts stay texts, because nine digits of a second do not fit Python's date-time (helved §2.1).
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")

_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z", re.ASCII)
_FORM = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.([0-9]{1,9}))?(Z)?")


@lru_cache(maxsize=4096)
def local_text(text: str) -> str:
    """The shortest Java form of a local date-time; a trailing Z is dropped without conversion.

    Raises ValueError for anything else, also for offsets. Source: helved §2.1.
    """
    whole, fraction, _ = _parts(text)
    datetime.fromisoformat(whole)
    return _shortest(whole, fraction)


def local_text_of_instant(text: str) -> str:
    """Oslo local date-time text of an ISO instant, which must end in Z; raises ValueError. Source: helved §2.6, Valp."""
    whole, fraction, zulu = _parts(text)
    if not zulu:
        raise ValueError("an instant ends in Z")
    try:
        local = datetime.fromisoformat(whole).replace(tzinfo=UTC).astimezone(OSLO)
    except OverflowError:
        raise ValueError("the instant is outside the calendar") from None
    return _shortest(local.replace(tzinfo=None).isoformat(), fraction)


def instant_text(moment: datetime) -> str:
    """An instant as Java's ISO_INSTANT writes it: UTC, `Z`, 0, 3 or 6 digits of the second; `moment` has a zone (payouts §2.10)."""
    utc = moment.astimezone(UTC)
    digits = "" if not utc.microsecond else f".{utc.microsecond // 1000:03d}" if utc.microsecond % 1000 == 0 else f".{utc.microsecond:06d}"
    return f"{utc.replace(tzinfo=None, microsecond=0).isoformat()}{digits}Z"


def parse_instant(text: str) -> datetime:
    """The instant of a text with any number of digits up to nine; below a microsecond they are dropped. Raises ValueError."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError("an instant is written YYYY-MM-DDThh:mm:ss[.fraction]Z")
    whole, fraction = found.groups()
    return datetime.fromisoformat(whole).replace(tzinfo=UTC, microsecond=int((fraction or "").ljust(6, "0")[:6]))


def date_of_parts(parts: Sequence[int]) -> str:
    """ISO text of `[y,m,d]`; raises ValueError or TypeError when that is no date."""
    return date(*parts).isoformat()


def local_of_parts(parts: Sequence[int]) -> str:
    """Date-time text of `[y,m,d,h,m,s,nanos]`, the last four optional; raises ValueError or TypeError when that is none."""
    whole, nanos = parts[:6], parts[6:]
    if len(nanos) > 1 or any(not 0 <= nano < 1_000_000_000 for nano in nanos):
        raise ValueError("nanoseconds are one number below a thousand million")
    moment = datetime(*whole)  # type: ignore[arg-type]  # noqa: DTZ001 - local by contract; wrong lengths raise TypeError
    return moment.isoformat() + "".join(f".{nano:09d}" for nano in nanos)


@lru_cache(maxsize=8192)
def date_with_offset(day: date) -> str:
    """xs:date with the offset that Oslo has when the day begins, e.g. `2024-08-12+02:00`. Source: helved §5.1."""
    minutes = int(datetime.combine(day, time.min, OSLO).utcoffset().total_seconds()) // 60  # type: ignore[union-attr]
    return f"{day.isoformat()}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _parts(text: str) -> tuple[str, str | None, str | None]:
    """The text down to the second, which is added when left out, the digits after it, and the Z."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("not a date-time")
    minute, second, fraction, zulu = match.groups()
    if fraction and not second:
        raise ValueError("a fraction follows a second")
    return minute + (second or ":00"), fraction, zulu


def _shortest(whole: str, fraction: str | None) -> str:
    """`whole` always has seconds; Java leaves them out when all below the minute is zero and writes 3, 6 or 9 fraction digits."""
    digits = fraction.rstrip("0") if fraction else ""
    if not digits:
        return whole.removesuffix(":00")
    return f"{whole}.{digits.ljust(-(-len(digits) // 3) * 3, '0')}"


def mapper_text(at: datetime) -> str:
    """A local time as the JSON and XML mappers write it: seconds always, their fraction without zeros at its end (rapid §1.2)."""
    assert at.tzinfo is None, "times on the rapid are local times"
    whole = at.isoformat(timespec="seconds")
    return f"{whole}.{at.microsecond:06d}".rstrip("0") if at.microsecond else whole
