"""`kvitt dead`: what could not be read, for an operator to look at, mend and replay."""

import sys
from pathlib import Path
from typing import Any, Final

import click

from kvitt.cli.arguments import NUMBER, content_of, existing_file
from kvitt.cli.calendar import print_preview
from kvitt.cli.listing import READ_AHEAD, Column, Fit, json_option, limit_option, print_described, print_json, print_list
from kvitt.cli.operator import approved, is_left_to_another
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import moment, shown_bytes, shown_lines
from kvitt.cli.wiring import wiring
from kvitt.disbursement.closing_acts import NumberNamed
from kvitt.disbursement.dead import OPEN, DeadLetters
from kvitt.disbursement.letter_acts import LetterNamed, LetterReplayed
from kvitt.disbursement.preview import preview
from kvitt.kernel.clock import utc_now
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings


def _state(letter: Any) -> str:
    return f"{letter.state}" if letter.closed_by is None else f"{letter.state} by {letter.closed_by}"


def _came_on(letter: Any) -> str:
    return f"{letter.source} {letter.partition}:{letter.position}"


_ABOUT: Final = (
    Column("dead_no", "no", of=lambda letter: letter.number),
    Column("at", "came"),
    Column("source", "on", show=_came_on),
    Column("partition", kind=Fit.HIDDEN),
    Column("position", kind=Fit.HIDDEN),
    Column("key", kind=Fit.HIDDEN, of=lambda letter: None if letter.key is None else letter.key.decode(errors="backslashreplace")),
)
_END: Final = (
    Column("message_no", kind=Fit.HIDDEN),
    Column("closed_at", kind=Fit.HIDDEN),
    Column("closed_by", kind=Fit.HIDDEN),
    Column("note", kind=Fit.HIDDEN),
)
_LETTERS: Final = (
    *_ABOUT,
    Column("size_bytes", "bytes", Fit.NUMBER, of=lambda letter: letter.size),
    Column("state", show=_state),
    Column("reason", "why", Fit.TEXT),
    *_END,
)
_LETTER: Final = (
    Column("dead_no", "dead letter", of=lambda letter: letter.number),
    *_ABOUT[1:5],
    Column("key", of=_ABOUT[5].of, show=lambda letter: shown_bytes(letter.key)),
    Column("reason", "why", Fit.TEXT),
    Column("state", show=lambda letter: f"{_state(letter)} {moment(letter.closed_at)}".rstrip()),
    Column("note", "because", Fit.TEXT),
    *_END[:3],
    Column("body", kind=Fit.HIDDEN, of=lambda letter: letter.body.decode(errors="backslashreplace")),
)


@click.group(epilog=example("kvitt dead list", "kvitt dead show 3", 'kvitt dead replay 3 --by ola --reason "the hub was too old" --ask'))
def dead() -> None:
    """Look at dead letters, mend and replay them, or close them."""


@dead.command("list", epilog=example("kvitt dead list", "kvitt dead list --all"))
@click.option("--all", "everything", is_flag=True, help="Those that were replayed or closed, too.")
@limit_option
@json_option
@located
def list_letters(settings: Settings, *, everything: bool, limit: int, as_json: bool) -> None:
    """List the dead letters that are open, newest first."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt dead") as connection:
        letters = DeadLetters(connection, utc_now, wiring().ports).listed(state=None if everything else OPEN, limit=limit + READ_AHEAD)
    nothing = "there are no dead letters" if everything else "there are no open dead letters"
    print_list(_LETTERS, letters, limit=limit, as_json=as_json, nothing=nothing)


@dead.command(epilog=example("kvitt dead show 3", "kvitt dead show 3 --raw > message.json"))
@click.argument("number", type=NUMBER)
@click.option("--raw", is_flag=True, help="Only the bytes as they came, for a pipe: a terminal would obey what is in them.")
@json_option
@located
def show(settings: Settings, *, number: int, raw: bool, as_json: bool) -> None:
    """Show dead letter NUMBER with the bytes that could not be read."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt dead") as connection:
        letter = DeadLetters(connection, utc_now, wiring().ports).find(number)
    if raw:
        sys.stdout.buffer.write(letter.body)
    elif as_json:
        print_json(_LETTER, [letter])
    else:
        print_described(_LETTER, letter)
        click.echo(f"\n{shown_lines(letter.body)}")


@dead.command(
    epilog=example(
        "kvitt dead show 3 --raw > fixed.json",
        'kvitt dead replay 3 --by ola --reason "torn in transit" --body fixed.json --dry-run',
        'kvitt dead replay 3 --by ola --approved-by kari --reason "torn in transit" --body fixed.json',
    )
)
@click.argument("number", type=NUMBER)
@click.option("--body", type=existing_file(), help="The mended message; the old bytes otherwise.")
@click.option("--key", help="For a letter that came without a usable key.")
@click.option("--dry-run", is_flag=True, help="Show what would be ordered; change nothing.")
@approved
@located
def replay(
    settings: Settings, *, number: int, by: str, reason: str, approved_by: str | None, body: Path | None, key: str | None, dry_run: bool
) -> None:
    """Send dead letter NUMBER through its scheme's topic again, under the old key, and close it. Works once.

    With another body or key it is no longer what its sender wrote, but an order of two people to pay.
    """

    operator = Operator(by, reason, approved_by)
    content, new_key = content_of(body, "--body") if body else None, key.encode() if key else None
    with opened(settings) as conninfo, connected(conninfo, application="kvitt dead") as connection:
        letters = DeadLetters(connection, utc_now, wiring().ports, wiring().put(connection, settings))
        if dry_run:
            record = letters.as_replayed(number, body=content, key=new_key)
            contracts = wiring().ports.contracts
            scheme = contracts.scheme_of(letters.find(number).source)
            if record.key is None or scheme in contracts.forwarding:
                click.echo(f"dead letter {number} would be appended to {record.topic}; a need is forwarded as it is")
                return
            print_preview(preview(connection, wiring().acting(settings), scheme, record.key, record.body, now=record.at))
            return
        act, asked = "dead replay unchanged", LetterNamed(number)
        if content is not None or new_key is not None:
            act, asked = "dead replay", LetterReplayed(number, content, new_key)
        if is_left_to_another(settings, connection, act, asked, operator):
            return
        record = letters.replay(number, operator, body=content, key=new_key)
    under = f"under key {shown_bytes(record.key)}" if record.key else "without a key"
    click.echo(f"dead letter {number} was appended to {record.topic} {under} and closed")


@dead.command(epilog=example('kvitt dead close 3 --by ola --reason "a test of the sender"'))
@click.argument("number", type=NUMBER)
@approved
@located
def close(settings: Settings, *, number: int, by: str, reason: str, approved_by: str | None) -> None:
    """Say that dead letter NUMBER has been dealt with, and is not to be replayed. Nothing is sent."""

    operator = Operator(by, reason, approved_by)
    with opened(settings) as conninfo, connected(conninfo, application="kvitt dead") as connection:
        if is_left_to_another(settings, connection, "dead close", NumberNamed(number), operator):
            return
        DeadLetters(connection, utc_now, wiring().ports).close(number, operator)
    click.echo(f"dead letter {number} is closed")
