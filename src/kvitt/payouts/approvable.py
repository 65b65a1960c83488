"""Acts about payouts, parties and the ledger, with what each would do."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from msgspec import Struct

from kvitt.errors import InsufficientFunds, NotInThatState
from kvitt.kernel.approvals import LOOKING, ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.ledger.transfer import Transfer, transfer
from kvitt.payouts.directory import load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.payouts.model import (
    ConfirmPayout,
    Keeper,
    MarkPaid,
    PayoutCommand,
    RepublishEvents,
)
from kvitt.payouts.repository import reserved_plans
from kvitt.payouts.service import cancellation, previewed
from kvitt.payouts.writer import PayoutWriter


class PayoutNamed(Struct, frozen=True):
    """The payout that an act is about."""

    payout_id: str


class PayoutCancelled(PayoutNamed, frozen=True):
    """A payout with the details that are published where it is cancelled."""

    details: str


class PartiesLoaded(Struct, frozen=True):
    """A file of parties, as it is written."""

    file: str


def payout_acts(clock: Clock) -> Sequence[ApprovableAct[Any]]:
    """Acts of two people on a payout whose plan is in our own ledger."""

    def made(name: str, arguments: type[Any], command: Callable[[Any, Operator], PayoutCommand]) -> ApprovableAct[Any]:
        def preview(connection: Connection, asked: PayoutNamed) -> ShownEffect:
            return _effect_on_payout(connection, command(asked, LOOKING))

        def run(connection: Connection, asked: PayoutNamed, operator: Operator) -> str:
            payout = PayoutWriter(connection, clock).within(command(asked, operator))
            return f"payout {payout.payout_id} is {payout.status.value}"

        return ApprovableAct(name, arguments, lambda asked: asked.payout_id, preview, run)

    return [
        made("payout confirm", PayoutNamed, lambda asked, operator: ConfirmPayout(asked.payout_id, operator)),
        made("payout cancel", PayoutCancelled, lambda asked, operator: cancellation(asked.payout_id, asked.details, operator)),
        made("payout paid", PayoutNamed, lambda asked, operator: MarkPaid(asked.payout_id, operator)),
    ]


def republish_act(clock: Clock) -> ApprovableAct[PayoutNamed]:
    """The publishing of all events of a payout once more."""

    def publish(connection: Connection, asked: PayoutNamed, operator: Operator) -> str:
        payout = PayoutWriter(connection, clock).within(RepublishEvents(asked.payout_id, operator))
        return f"{payout.sequence} events of payout {payout.payout_id}"

    def preview(connection: Connection, asked: PayoutNamed) -> ShownEffect:
        with connection.transaction(force_rollback=True):
            return ShownEffect.of(f"{publish(connection, asked, LOOKING)} would be published again, byte for byte")

    def run(connection: Connection, asked: PayoutNamed, operator: Operator) -> str:
        return f"{publish(connection, asked, operator)} will be published again"

    return ApprovableAct("payout republish", PayoutNamed, lambda asked: asked.payout_id, preview, run)


def transfer_act(clock: Clock) -> ApprovableAct[Transfer]:
    """A transfer between two accounts."""

    def preview(connection: Connection, asked: Transfer) -> ShownEffect:
        done = transfer(connection, clock, asked, None, reserved_plans)
        if not done.changed:
            raise NotInThatState(f"plan {asked.plan_id} was done before under this name; nothing would move")
        lines = [
            f"{asked.amount} {asked.currency} (minor units) from account {asked.source} to account {asked.target}: {asked.description}"
        ]
        for before, after in zip(done.before, done.after, strict=True):
            lines.append(f"account {before.account.account_id} has {before.totals.posted} and would have {after.totals.posted}")
        return ShownEffect.of("\n".join(lines), asked)

    def run(connection: Connection, asked: Transfer, operator: Operator) -> str:
        done = transfer(connection, clock, asked, operator, reserved_plans)
        return f"{asked.amount} {asked.currency} moved" if done.changed else "it was done before under this name; nothing moved"

    return ApprovableAct("ledger transfer", Transfer, lambda asked: asked.plan_id, preview, run)


def party_act(clock: Clock, *, own_ledger: bool) -> ApprovableAct[PartiesLoaded]:
    """The loading of a file of parties. `own_ledger` as for `load_directory`."""

    def preview(connection: Connection, asked: PartiesLoaded) -> ShownEffect:
        loaded = load_directory(connection, clock, read_directory(asked.file), dry_run=True, own_ledger=own_ledger)
        lines = [f"{party_id}: would be revision {revision}" for party_id, revision in loaded.changed.items()]
        lines += [f"the house's accounts in {currency} would be set" for currency in loaded.house]
        if loaded.accounts:
            lines.append(f"{len(loaded.accounts)} accounts that the file does not name would be made in the ledger")
        text = "\n".join(lines) or "nothing would change"
        return ShownEffect.of(text, text, sha256(asked.file.encode()).hexdigest())

    def run(connection: Connection, asked: PartiesLoaded, operator: Operator) -> str:
        loaded = load_directory(connection, clock, read_directory(asked.file), own_ledger=own_ledger, operator=operator)
        return f"{len(loaded.changed)} parties changed, {len(loaded.unchanged)} are as before"

    return ApprovableAct("party load", PartiesLoaded, lambda asked: f"file {sha256(asked.file.encode()).hexdigest()[:12]}", preview, run)


def _effect_on_payout(connection: Connection, command: PayoutCommand) -> ShownEffect:
    record, preview = previewed(connection, command)
    payout = preview.payout
    if record.keeper is not Keeper.OWN:
        raise NotInThatState(f"the plan of payout {command.payout_id} is in another ledger: name the second person with --approved-by")
    if not preview.changes:
        raise NotInThatState(f"payout {payout.payout_id} is {payout.status.value} already; nothing would be done")
    if not preview.solvent:
        raise InsufficientFunds("the shop has not that much")
    lines = [f"payout {payout.payout_id} of party {payout.party_id}, shop {payout.shop_id}, would be {payout.status.value}"]
    lines.append(f"amount {payout.amount} {payout.currency}, fee {payout.fee} (minor units), to tool {payout.payout_tool_id}")
    lines += [
        f"account {each.account_id} has {each.before.posted} {each.currency} and would have {each.after.posted}"
        for each in preview.accounts or ()
    ]
    return ShownEffect.of("\n".join(lines), record.payout, payout, bytes(record.last_event_hash).hex())
