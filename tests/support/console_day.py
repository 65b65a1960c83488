"""Some days of a hub on which much goes wrong, with people who deal with it: what the console is asked about."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from kvitt.api.people.claims import ISSUER
from kvitt.app.ports import PORTS
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.approvable import OrderDecided, order_acts
from kvitt.disbursement.calendar import is_working_day
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Area, Scheme
from kvitt.kernel.approvals import Approvals
from kvitt.kernel.clock import oslo, utc_now
from kvitt.kernel.operators import Operator, PersonAtIssuer
from kvitt.ops.alarms import ReceiptDeadline, raise_and_clear
from kvitt.rails.oppdrag.opening_hours import OpeningHours
from kvitt.testing import Hub, hub
from support.console_stage import ACTS, APPROVES
from support.hub_messages import aap, payment_uid, person_of, ts
from support.payout_stage import payout_stage, wanted
from support.reconciled import make

HANS, GURO = "H100002", "G100003"
PAID, REFUSED, LATE, UNKNOWN, TWICE, REPORTED, STOPPED, AGREED, ASKED = (
    "KARI-1",
    "REF-1",
    "LATE-1",
    "UNK-1",
    "TWICE-1",
    "MISS-1",
    "STOP-1",
    "AGR-1",
    "DRY-1",
)
RAILS_WORDS, STOPS_REASON = "Ugyldig kontonummer", "the rates of child care are wrong"
ASKED_REASON, APPROVED_REASON = "the bank confirms the payment", "the rail said so by phone"


_PARTIES: Final = Path(__file__).parents[2] / "examples/parties.toml"


class PlayedDay(NamedTuple):
    """What was played, by the numbers that it has."""

    conninfo: str
    person: str
    run_no: int
    refused_message: int
    paid_message: int
    account_id: int


@contextmanager
def played_day(conninfo: str) -> Iterator[PlayedDay]:
    """The days until now, in the life of a hub with all of its roles; the hub is there while the block runs."""
    with hub(conninfo=conninfo, start=before_a_working_day()) as site:
        run_no = _reported_missing_and_answered_later(site)
        site.clock.set(utc_now() - timedelta(hours=3))
        _paid_and_raised(site)
        _refused_late_unknown_twice_and_dead(site)
        _acts(site)
        _asked_and_waiting(site)
        with payout_stage(conninfo) as payouts:
            for payout_id in ("p-held", "p-paid"):
                payouts.payouts.create(wanted(payout_id))
            payouts.payouts.confirm("p-paid")
            account_id = payouts.settlement
        site.load_parties(_PARTIES.read_text("utf-8"))
        site.clock.set(utc_now())
        yield PlayedDay(conninfo, person_of(PAID), run_no, _message_of(site, REFUSED), _message_of(site, PAID), account_id)


def before_a_working_day(ago: int = 3) -> datetime:
    """A moment of so many days ago, or of more, after which a day comes on which orders are reported."""
    days = (utc_now() - timedelta(days=each) for each in count(ago))
    return next(day for day in days if is_working_day(oslo(day + timedelta(days=1)).date()))


def _put(site: Hub, case_id: str, amount: int = 500, **changes: object) -> None:
    site.put(primary_input(Scheme.AAP), f"key of {case_id}", aap(case_id, amount, **changes))
    site.run()


def _reported_missing_and_answered_later(site: Hub) -> int:
    site.rail.fault(delay=1, delay_seconds=36 * 3600.0)
    _put(site, REPORTED)
    site.clock.advance(days=1)
    run = make(site)
    site.clock.advance(hours=18)
    site.run()
    return run.run_no


def _paid_and_raised(site: Hub) -> None:
    first = oslo(utc_now()).date().replace(day=1)
    for amount in (500, 700):
        days = {"fom": f"{first}", "tom": f"{first + timedelta(days=13)}", "sats": 1000, "utbetaltBeløp": amount}
        _put(site, PAID, utbetalinger=[{"id": payment_uid(PAID), **days}])


def _refused_late_unknown_twice_and_dead(site: Hub) -> None:
    site.rail.fault(refuse=1, text=RAILS_WORDS, code="B110006F")
    _put(site, REFUSED)
    site.rail.fault(swallow=2)
    _put(site, LATE, 900)
    _put(site, AGREED, 300)
    site.rail.fault(refuse=1, severity="77", text="Hva?")
    _put(site, UNKNOWN, 800)
    site.rail.fault()
    entry = {"fom": "2026-06-01", "tom": "2026-06-12", "sats": 1000, "utbetaltBeløp": 500}
    twice = [{"id": payment_uid(TWICE, number), **entry} for number in (1, 2)]
    _put(site, TWICE, utbetalinger=twice)
    site.put(primary_input(Scheme.AAP), None, b"no key")
    site.run()
    site.clock.advance(hours=2)
    always = OpeningHours(time(0), time(0), every_day=True)
    raise_and_clear(site.connection, site.clock(), ReceiptDeadline({rail.name: always for rail in site.ports.rails}, timedelta(hours=1)))


def _asked_and_waiting(site: Hub) -> None:
    """A dry run, and a message behind an order that has no receipt yet."""
    _put(site, ASKED, dryrun=True)
    _put(site, LATE, 950)


def _acts(site: Hub) -> None:
    """Kari stops sending, Hans asks for two decisions, and Guro approves one of them."""
    Operate(site.connection, site.clock, site.ports).stop([Area("TILLSTPB")], Operator("kari", STOPS_REASON))
    site.put(primary_input(Scheme.TILLEGGSSTONADER), f"key of {STOPPED}", ts(STOPPED))
    site.run()
    # Approvals lapse by the time of people, who are asked about them now.
    approvals = Approvals(site.connection, utc_now, order_acts(utc_now, PORTS))
    hans, guro = PersonAtIssuer(ISSUER, ACTS), PersonAtIssuer(ISSUER, APPROVES)
    for case_id, reason in ((AGREED, APPROVED_REASON), (UNKNOWN, ASKED_REASON)):
        decided = OrderDecided(_order_of(site, case_id), accepted=True)
        asked = approvals.ask("order decide", decided, Operator(HANS, reason), hans)
        if case_id == AGREED:
            approvals.confirm(asked.approval_no, GURO, guro)


def _order_of(site: Hub, case_id: str) -> str:
    query = "SELECT order_id::text FROM kvitt_views.orders WHERE case_id = %s ORDER BY number DESC LIMIT 1"
    return str(_one(site, query, case_id))


def _message_of(site: Hub, case_id: str) -> int:
    return int(str(_one(site, "SELECT max(message_no) FROM kvitt_views.messages WHERE case_id = %s", case_id)))


def _one(site: Hub, query: str, case_id: str) -> object:
    (found,) = site.connection.execute(query.encode(), [case_id]).fetchone() or (None,)
    return found
