"""The acts that can be asked for, each with what it needs of this installation: one line per act (design §11)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from kvitt.app.ports import PORTS, is_known_source, ports_as_set
from kvitt.app.takeover_acts import takeover_acts
from kvitt.disbursement.approvable import (
    forget_act,
    order_acts,
    pairs_act,
)
from kvitt.disbursement.cancel.ask import cancel_act
from kvitt.disbursement.closing_acts import closing_acts
from kvitt.disbursement.dead import Put, Replayed
from kvitt.disbursement.letter_acts import letter_act, unchanged_letter_act
from kvitt.disbursement.limit_acts import limit_acts
from kvitt.disbursement.reconcile.acts import reconcile_acts
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.resend_many import resend_many_act
from kvitt.disbursement.sending_acts import sending_acts
from kvitt.kernel.approvals import ApprovableAct, Approvals
from kvitt.kernel.clock import Clock, utc_now
from kvitt.kernel.database import Connection
from kvitt.payouts.approvable import party_act, payout_acts, republish_act, transfer_act
from kvitt.settings import Settings
from kvitt.transports.log.embedded_log import NewRecord, append


def acts_of(settings: Settings, clock: Clock = utc_now) -> Sequence[ApprovableAct[Any]]:
    """All acts that can be asked for."""
    puts_on, ports = partial(put_of, settings), ports_as_set(settings, ())
    return (
        *order_acts(clock, ports),
        cancel_act(clock, ports),
        pairs_act(clock, ports),
        resend_many_act(clock, ports),
        *sending_acts(clock, ports),
        *limit_acts(clock, ports.limits, partial(is_known_source, settings, ports.contracts)),
        *payout_acts(clock),
        republish_act(clock),
        letter_act(clock, ports, puts_on),
        unchanged_letter_act(clock, ports, puts_on),
        *closing_acts(clock, ports),
        *reconcile_acts(clock, ports, settings.reconciliation.first_day),
        forget_act(clock, ports),
        *takeover_acts(settings, clock),
        party_act(clock, own_ledger=not settings.payouts.ledger_url),
        transfer_act(clock),
    )


def reconcile_of(settings: Settings, connection: Connection, clock: Clock = utc_now) -> Reconcile:
    """Returns what makes runs of reconciliation, as it is set."""
    return Reconcile(connection, PORTS, clock, first_day=settings.reconciliation.first_day)


def approvals_of(settings: Settings, connection: Connection, clock: Clock = utc_now) -> Approvals:
    """The approvals of an installation."""
    return Approvals(connection, clock, acts_of(settings, clock), alone=settings.approvals.alone)


def put_of(settings: Settings, connection: Connection) -> Put:
    """Returns what appends a dead letter's record to its topic."""

    def put(record: Replayed) -> None:
        fresh = [NewRecord(record.topic, record.key, record.body, record.headers)]
        if settings.kafka:
            from kvitt.transports.kafka import plain as kafka_plain

            # Before the letter is closed: should closing fail, a second replay is the same message again, and changes nothing.
            kafka_plain.put(settings.kafka, fresh)
        else:
            append(connection, fresh, record.at)

    return put
