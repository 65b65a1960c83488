"""Schemes as people type them."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kvitt.rules.values import Scheme

SHORT = {  # those of the case streams; the rapid has one more, syk
    "dp": "DAGPENGER",
    "aap": "AAP",
    "ts": "TILLEGGSSTØNADER",
    "tp": "TILTAKSPENGER",
    "historisk": "HISTORISK",
    "valp": "VALP",
}


class SchemeName(click.ParamType["Scheme"]):
    """A scheme by its short name or by its name on the wire, whatever its case."""

    name = "scheme"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Scheme":
        """The scheme; fails with the names that there are."""
        from kvitt.rules.values import Scheme

        given = str(value)
        wanted = SHORT.get(given.lower(), "SYKEPENGER" if given.lower() == "syk" else given.upper())
        try:
            return Scheme(wanted)
        except ValueError:
            self.fail(f"{given!r} is no scheme; there are {', '.join(SHORT)} and syk", param, ctx)
