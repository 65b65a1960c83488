"""Writes amounts, times and texts as pages show them: Norwegian numbers, Oslo's time (design §17)."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from kvitt.kernel.identifiers import is_invisible
from kvitt.kernel.money import Kroner, Minor, exponent_of

_OSLO: Final = ZoneInfo("Europe/Oslo")
_MINUS, _GAP = "\u2212", "\u00a0"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def visible(text: str) -> str:
    """The text with a sign for each character that shows nothing or turns the direction of reading."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if is_invisible(each) or (each < " " and each not in "\n\t") else each for each in text)


def grouped(number: int) -> str:
    """A whole number in groups of three, with a minus that is one."""
    return (_MINUS if number < 0 else "") + f"{abs(number):,}".replace(",", _GAP)


def kroner(amount: Kroner | None) -> Markup:
    """Whole kroner, as `1 234 kr`; the plain digits stand beside it for programs."""
    return _amount(None if amount is None else int(amount), "" if amount is None else f"{grouped(amount)}{_GAP}kr")


def minor(amount: Minor | None, currency: str) -> Markup:
    """Minor units in the currency's own unit, as `2 480,00 RUB`; a currency that ISO 4217 does not have stays in minor units."""
    return _amount(amount, "" if amount is None else amount_text(amount, currency))


def amount_text(amount: int, currency: str) -> str:
    """The same as text."""
    exponent = exponent_of(currency)
    if exponent is None:
        return f"{grouped(amount)}{_GAP}minor units of {currency}"
    whole, rest = divmod(abs(amount), 10**exponent)
    decimals = f",{rest:0{exponent}d}" if exponent else ""
    return f"{_MINUS if amount < 0 else ''}{grouped(whole)}{decimals}{_GAP}{currency}"


def moment(at: datetime | None) -> Markup:
    """A moment in Oslo's time, to the second; the moment itself stands beside it for programs."""
    if at is None:
        return Markup("")
    local, shown = at.astimezone(_OSLO), moment_in_words(at)
    return Markup(f'<time datetime="{local.isoformat()}" title="{shown} Oslo, {local:%z}">{shown}</time>')  # noqa: S704 - digits


def moment_in_words(at: datetime) -> str:
    """The same within a sentence."""
    return f"{at.astimezone(_OSLO):%d.%m.%Y %H:%M:%S}"


def clock_time(at: datetime) -> str:
    """The time of day in Oslo, for what is said of today."""
    return f"{at.astimezone(_OSLO):%H:%M:%S}"


def day(on: date | None) -> Markup:
    """A day, which is no moment, and so of no zone."""
    return Markup("") if on is None else Markup('<time datetime="{}">{}</time>').format(on.isoformat(), f"{on:%d.%m.%Y}")


def age(since: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that says enough."""
    return "" if since is None else span(now - since)


def span(lasted: timedelta) -> str:
    """How long, in words."""
    seconds = int(lasted.total_seconds())
    if seconds < _MINUTE:
        return f"{max(seconds, 0)} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    return f"{seconds // _DAY} days"


def _amount(plain: int | None, shown: str) -> Markup:
    return Markup("") if plain is None else Markup(f'<data class="amount" value="{plain}">{escape(shown)}</data>')  # noqa: S704 - a number
