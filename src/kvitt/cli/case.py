"""`kvitt case`: everything about one case."""

from typing import TYPE_CHECKING

import click

from kvitt.app.ports import PORTS
from kvitt.cli.ids import case_of
from kvitt.cli.schemes import SchemeName
from kvitt.cli.shell import connected, example, located, opened, print_page
from kvitt.cli.text import shown_json

if TYPE_CHECKING:
    from kvitt.config import Settings
    from kvitt.rules.values import Scheme


@click.command(epilog=example("kvitt case dp AZ111", "kvitt case tilleggsstønader 300000123 --json"))
@click.argument("scheme", type=SchemeName())
@click.argument("case_id", metavar="CASE_ID")
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON document.")
@located
def case(settings: "Settings", *, scheme: "Scheme", case_id: str, as_json: bool) -> None:
    """Show what happened to a case in order of time, what is accepted day by day, and what waits.

    SCHEME is dp, aap, ts, tp, historisk, valp or syk, or the name on the wire. A CASE_ID that ends with ... is the beginning of one.
    """
    from kvitt.hub.history import history

    with opened(settings) as conninfo:
        with connected(conninfo, application="kvitt case") as connection:
            named = case_of(connection, scheme, case_id)
        found = history(conninfo, PORTS, scheme, named)
    if as_json:
        from kvitt.cli.case_json import as_document

        click.echo(shown_json(as_document(found)))
        return
    from kvitt.cli.case_page import page

    print_page(page(found))
