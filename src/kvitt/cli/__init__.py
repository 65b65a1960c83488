"""The command line: one module per group of commands; each imports what it needs when it runs, so that the help is quick."""

import click

from kvitt.cli.alarm import alarm
from kvitt.cli.approve import approve
from kvitt.cli.audit import audit
from kvitt.cli.case import case
from kvitt.cli.check import check
from kvitt.cli.completion import completion
from kvitt.cli.db import db
from kvitt.cli.dead import dead
from kvitt.cli.emulator import emulator
from kvitt.cli.import_ import import_
from kvitt.cli.kafka import kafka
from kvitt.cli.ledger import ledger
from kvitt.cli.order import order
from kvitt.cli.party import party
from kvitt.cli.payout import payout
from kvitt.cli.receipt import receipt
from kvitt.cli.run import run
from kvitt.cli.sending import sending
from kvitt.cli.shell import Commands
from kvitt.cli.submit import submit
from kvitt.cli.token import token
from kvitt.cli.topic import topic
from kvitt.cli.transfer import transfer
from kvitt.cli.up import up
from kvitt.demo.command import demo

main = Commands(
    "kvitt",
    help="Decisions about money come in, the smallest correct orders go to the payment rail, each receipted and answered exactly once.",
    epilog="Try it: kvitt demo",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    demo,
    up,
    submit,
    case,
    topic,
    check,
    dead,
    receipt,
    order,
    alarm,
    approve,
    audit,
    sending,
    emulator,
    db,
    run,
    kafka,
    import_,
    ledger,
    party,
    token,
    payout,
    completion,
):
    main.add_command(_command)
ledger.add_command(transfer)
click.version_option(package_name="kvitt", message="%(prog)s %(version)s")(main)

__all__ = ["main"]
