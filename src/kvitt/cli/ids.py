"""Ids as people type them: whole, or as far as it takes to distinguish them.

An id that a machine made (a UUID) may be given by its first digits. One that a person chose may be the beginning of another's, so that
it is only taken for a beginning when it says so, by … or ... at its end.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from kvitt.cli.text import shown
from kvitt.disbursement.lookup import (
    CANDIDATES,
    cases_beginning,
    orders_beginning,
    payout_exists,
    payouts_beginning,
    plans_beginning,
)
from kvitt.disbursement.values import Scheme
from kvitt.errors import OrderNotFound
from kvitt.kernel.database import Connection

LEAST: Final = 4
"""Fewer characters are a slip more often than an id."""
_HEX_DIGITS: Final = 32
_HEX: Final = re.compile(r"[0-9a-f]+", re.ASCII)
_MADE: Final = re.compile(r"[0-9a-f]{4,8}(-[0-9a-f]{0,12}){0,4}", re.ASCII)
_ELLIPSES: Final = ("…", "...")


def order_of(connection: Connection, named: str) -> str:
    """The id of the one order that this names. Ends the command for what can be no id or means several; raises OrderNotFound."""

    digits = _cut(named)[0].replace("-", "").lower()
    if not _HEX.fullmatch(digits):
        raise click.BadParameter(f"{shown(named)[:80]!r} is no order id: it has hexadecimal digits and dashes only", param_hint="ORDER")
    if not LEAST <= len(digits) <= _HEX_DIGITS:
        rule = f"an order id is known by its first {LEAST} to {_HEX_DIGITS} hexadecimal digits"
        raise click.BadParameter(f"{shown(named)[:80]!r} has {len(digits)}: {rule}", param_hint="ORDER")
    found = orders_beginning(connection, digits)
    if not found:
        raise OrderNotFound(f"no order has the id {shown(named)}" if len(digits) == _HEX_DIGITS else f"no order's id begins with {digits}")
    return _only(found, named, "ORDER")


def payout_of(connection: Connection, named: str) -> str:
    """The id of the payout that this names; what names none stays as it is. Ends the command for what means several."""

    if payout_exists(connection, named):
        return named
    prefix, says_so = _cut(named)
    if says_so:
        return _chosen(prefix, named, "PAYOUT", lambda: payouts_beginning(connection, prefix))
    if not _MADE.fullmatch(named):
        return named
    # Only ids that a machine made: to take `ab12` for somebody's `ab12-two` would be a guess about money.
    made = [each for each in payouts_beginning(connection, named) if _is_uuid(each)]
    return _only(made, named, "PAYOUT") if made else named


def case_of(connection: Connection, scheme: Scheme, named: str) -> str:
    """The id of the scheme's case that this names, a beginning only if it says so. Ends the command for what means several."""

    prefix, says_so = _cut(named)
    return _chosen(prefix, named, "CASE_ID", lambda: cases_beginning(connection, scheme.value, prefix)) if says_so else named


def plan_of(connection: Connection, named: str) -> str:
    """The id of the ledger's plan that this names, a beginning only if it says so. Ends the command for what means several."""

    prefix, says_so = _cut(named)
    return _chosen(prefix, named, "PLAN_ID", lambda: plans_beginning(connection, prefix)) if says_so else named


def _cut(named: str) -> tuple[str, bool]:
    """The text without the dots at its end, and whether there were any."""
    text = named.strip()
    for ellipsis in _ELLIPSES:
        if text.endswith(ellipsis):
            return text.removesuffix(ellipsis), True
    return text, False


def _chosen(prefix: str, named: str, argument: str, look: Callable[[], Sequence[str]]) -> str:
    if len(prefix) < LEAST:
        raise click.BadParameter(f"{shown(named)[:80]!r} is too short: a beginning has at least {LEAST} characters", param_hint=argument)
    found = look()
    return _only(found, named, argument) if found else named


def _only(found: Sequence[str], named: str, argument: str) -> str:

    if len(found) == 1:
        return found[0]
    names = ", ".join(map(shown, found[: CANDIDATES - 1])) + (", and more" if len(found) == CANDIDATES else "")
    raise click.BadParameter(f"{shown(named)[:80]!r} may be any of {names}", param_hint=argument)


def _is_uuid(text: str) -> bool:
    return len(text.replace("-", "")) == _HEX_DIGITS and _HEX.fullmatch(text.replace("-", "")) is not None


SHORT = {  # those of the case streams; the rapid has one more, syk
    "dp": "DAGPENGER",
    "aap": "AAP",
    "ts": "TILLEGGSSTØNADER",
    "tp": "TILTAKSPENGER",
    "historisk": "HISTORISK",
    "valp": "VALP",
}


class SchemeName(click.ParamType[Scheme]):
    """A scheme by its short name or by its name on the wire, whatever its case."""

    name = "scheme"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Scheme:
        """The scheme; fails with the names that there are."""

        given = str(value)
        wanted = SHORT.get(given.lower(), "SYKEPENGER" if given.lower() == "syk" else given.upper())
        try:
            return Scheme(wanted)
        except ValueError:
            self.fail(f"{given!r} is no scheme; there are {', '.join(SHORT)} and syk", param, ctx)
