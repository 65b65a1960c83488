"""The acts that two people do, each with the state in which it is wanted, the way to its form, and what comes of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple

from playwright.sync_api import Page

from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.limit_acts import LimitSet, set_limit
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Area, Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.testing import Hub, hub
from support.case_histories import answered
from support.console_day import before_a_working_day
from support.console_script import EXAMPLES
from support.hub_messages import Json, aap, dp, payment_uid, person_of, text, tp, ts
from support.payout_stage import PayoutStage, payout_stage, wanted
from support.reconciled import make

BOTH: Final = Operator("Kari Nordmann", "the bank said so by phone", "Ola Hansen")
"""Two people who did what an act is about, before it."""
BATCH: Final = 3
LIMITED: Final = primary_input(Scheme.VALP)


class ActStage(NamedTuple):
    """A hub with all of its roles, beside it a ledger with a shop that has money."""

    hub: Hub
    payouts: PayoutStage

    @property
    def operate(self) -> Operate:
        """What people do at once."""
        return Operate(self.hub.connection, self.hub.clock, self.hub.ports)

    def value(self, query: str, it: str) -> str:
        """The one value of a query about something, as text; nothing where there is none."""
        row = self.hub.connection.execute(query.encode(), {"it": it}).fetchone()
        return "" if row is None else str(row[0])

    def put(self, case: str, body: Json, scheme: Scheme = Scheme.AAP) -> str:
        """Has the hub do what it can about a message; returns the id of the newest order of its case."""
        self.hub.put(primary_input(scheme), f"key of {case}", body)
        self.hub.run()
        return self.order_of(case)

    def order_of(self, case: str) -> str:
        """The newest order of a case."""
        return self.value("SELECT order_id FROM kvitt_views.orders WHERE case_id = %(it)s ORDER BY number DESC LIMIT 1", case)


@contextmanager
def act_stage(conninfo: str) -> Iterator[ActStage]:
    """A stage for as long as the block runs; its orders were made in the last hours, so that people are asked about them now.

    Two are of days before: one was reported in a run, and of the other's area nothing was.
    """
    with hub(conninfo=conninfo, start=before_a_working_day()) as made, payout_stage(conninfo) as payouts:
        stage = ActStage(made, payouts)
        stage.put("reported", aap("reported"))
        stage.put("left", tp("left"), Scheme.TILTAKSPENGER)
        made.clock.advance(days=1)
        make(made)
        made.clock.set(utc_now() - timedelta(hours=3))
        yield stage


def nothing_more(page: Page, stage: ActStage) -> None:
    """The form shows what it would do at once."""


def nothing_meanwhile(stage: ActStage, it: str) -> None:
    """What the approver sees is what was asked for."""


class ActOfTwo(NamedTuple):
    """An act. `begins` makes what it is about under a name, and returns as what pages know that: `{it}` in texts, `%(it)s` in statements.

    `state` is how things stand, and `stands` as what: before, once it is approved, and when the hub has worked on. `noted` is what the
    chain calls it. `fills` types what the form wants beside the reason; `meanwhile` happens before the second person looks.
    """

    begins: Callable[[ActStage, str], str]
    page: str
    link: str
    shows: str
    state: str
    stands: tuple[str, str, str]
    noted: str
    fills: Callable[[Page, ActStage], None] = nothing_more
    meanwhile: Callable[[ActStage, str], None] = nothing_meanwhile


def held(stage: ActStage, name: str) -> str:
    """An order that pays the same days by two payments, and waits for people."""
    entry = {"fom": "2026-06-01", "tom": "2026-06-12", "sats": 1000, "utbetaltBeløp": 500}
    return stage.put(name, aap(name, utbetalinger=[{"id": payment_uid(name, number), **entry} for number in (1, 2)]))


def unanswered(stage: ActStage, name: str, *, arrives: bool) -> str:
    """An order of which the rail says nothing; it took effect, or never arrived."""
    stage.hub.rail.fault(**{"swallow" if arrives else "lose": 1})
    order_id = stage.put(name, aap(name))
    stage.hub.rail.fault()
    return order_id


never_arrived = partial(unanswered, arrives=False)
arrived = partial(unanswered, arrives=True)


def accepted_after_all(stage: ActStage, name: str) -> str:
    """An order that two people settled as rejected, and that the rail accepts later."""
    stage.hub.rail.fault(delay=1, delay_seconds=60.0)
    order_id = stage.put(name, aap(name))
    stage.hub.rail.fault()
    stage.operate.decide(order_id, accepted=False, operator=BOTH)
    stage.hub.clock.advance(minutes=2)
    stage.hub.run()
    return order_id


def accepted_by_mistake(stage: ActStage, name: str) -> str:
    """An order that never arrived and was settled as rejected; then the rail says that it accepts it."""
    order_id = never_arrived(stage, name)
    stage.operate.decide(order_id, accepted=False, operator=BOTH)
    [sent] = [each for each in stage.hub.sent() if each.order_id == order_id]
    stage.hub.rail.reply(answered(sent.message))
    stage.hub.run()
    return order_id


def pair(stage: ActStage, name: str) -> str:
    """An order that was held because another case pays the person the same days, and was released."""
    stage.put(f"{name}-OTHER", aap(f"{name}-OTHER", ident=person_of(name)))
    order_id = stage.put(name, aap(name))
    stage.operate.release(order_id, BOTH)
    stage.hub.run()
    return order_id


def batch(stage: ActStage, name: str) -> str:
    """Orders that the rail lost."""
    stage.hub.rail.fault(lose=BATCH)
    for number in range(BATCH):
        stage.put(f"{name}-{number}", dp(f"{name}-{number}"), Scheme.DAGPENGER)
    stage.hub.rail.fault()
    return name


def first_of_batch_is_settled(stage: ActStage, name: str) -> None:
    """What the approver sees is no longer what was asked for."""
    stage.operate.decide(stage.order_of(f"{name}-0"), accepted=False, operator=BOTH)


def new_payout(stage: ActStage, name: str) -> str:
    """A payout that is held for the bank."""
    stage.payouts.payouts.create(wanted(name))
    return name


def paying_account(stage: ActStage, name: str) -> str:
    """An account that may go below zero."""
    return str(stage.payouts.bank)


def nothing(stage: ActStage, name: str) -> str:
    """What an act is about that makes something new."""
    return name


def letter(stage: ActStage, name: str) -> str:
    """A message that is torn in transit, of which its sender heard so."""
    stage.hub.put(primary_input(Scheme.AAP), f"key of {name}", text(aap(name))[:-1])
    stage.hub.run()
    return stage.value("SELECT max(dead_no) FROM kvitt_views.dead_letters WHERE state = 'open'", name)


def behind_a_stop(stage: ActStage, name: str) -> str:
    """An order that waits because sending to its area is stopped."""
    stage.operate.stop([Area("TILLSTPB")], BOTH)
    return stage.put(name, ts(name), Scheme.TILLEGGSSTONADER)


def run_of_days_before(stage: ActStage, name: str) -> str:
    """A run of reconciliation that the rail has."""
    stage.hub.run()
    return stage.value("SELECT max(run_no) FROM kvitt_views.reconciliations WHERE area = 'AAP'", name)


def limited(stage: ActStage, name: str) -> str:
    """A source that two people have limited."""
    set_limit(stage.hub.connection, stage.hub.clock(), LimitSet(LIMITED, Kroner(1000)), BOTH)
    return name


def chooses_area(page: Page, area: str, button: str) -> None:
    page.locator("main").get_by_label("Area").select_option(area)
    page.get_by_role("button", name=button).click()


def looks_for_batch(page: Page, stage: ActStage) -> None:
    chooses_area(page, "DP", "Look for them")


def stops_area(page: Page, stage: ActStage) -> None:
    chooses_area(page, "HELSREF", "Look at what a stop there would do")


def reports_area(page: Page, stage: ActStage) -> None:
    chooses_area(page, "TILTPENG", "Look")


def limits_source(page: Page, stage: ActStage) -> None:
    for label, value in {"Source": LIMITED, "Kroner for one order": "1000"}.items():
        page.get_by_label(label).fill(value)
    looks(page)


def says_why_to_all(page: Page, stage: ActStage) -> None:
    page.get_by_label("Why, as everyone hears it").fill("the account is closed")
    looks(page)


def fills_transfer(page: Page, stage: ActStage) -> None:
    typed = {"Name of the transfer": "sales-1", "To account": str(stage.payouts.settlement), "Amount": "700", "What it is": "sales of May"}
    for label, value in typed.items():
        page.get_by_label(label).fill(value)
    looks(page)


def pastes_parties(page: Page, stage: ActStage) -> None:
    page.get_by_label("The whole file").fill((EXAMPLES / "parties.toml").read_text("utf-8"))
    looks(page)


def mends_letter(page: Page, stage: ActStage) -> None:
    body = page.get_by_label("Body")
    body.fill(f"{body.input_value()}}}")
    looks(page)


def looks(page: Page) -> None:
    """Has the form show what it would do."""
    page.get_by_role("button", name="Look at what it would do").click()


_ORDER: Final = """SELECT concat_ws(', ', state, CASE WHEN is_held AND state = 'ready' THEN 'held' END, 'the rail says ' || rail_says)
                   FROM kvitt_views.orders WHERE order_id::text = %(it)s"""
_BATCH: Final = "SELECT string_agg(state, ' ' ORDER BY case_id) FROM kvitt_views.orders WHERE case_id LIKE %(it)s || '-%%'"
_PAIRS: Final = "SELECT count(*) FROM kvitt_views.exempt_pairs WHERE order_id::text = %(it)s"
_PAYOUT: Final = "SELECT status FROM kvitt_views.payouts WHERE payout_id = %(it)s"
_LETTER: Final = """SELECT concat_ws(', ', d.state, (SELECT o.state FROM kvitt_views.orders AS o WHERE o.case_id = 'mend-and-replay'))
                    FROM kvitt_views.dead_letters AS d WHERE d.dead_no::text = %(it)s"""
_REPLAYED: Final = "SELECT state FROM kvitt_views.dead_letters WHERE dead_no::text = %(it)s"
_STOP: Final = "SELECT count(*) FROM kvitt_views.stops WHERE area = 'HELSREF'"
_RUNS: Final = "SELECT coalesce(string_agg(state, ' ' ORDER BY run_no), 'none') FROM kvitt_views.reconciliations WHERE area = '{area}'"
_LIMIT: Final = "SELECT coalesce(max(kroner_per_order)::text, 'none') FROM kvitt_views.source_limits"
_WHERE: Final = "/orders/{it}/whereabouts"

ACTS: Final = {
    "release": ActOfTwo(held, "/orders/{it}", "Release", "it would be sent", _ORDER, ("ready, held", "ready", "accepted"), "release"),
    "send once more": ActOfTwo(
        never_arrived, _WHERE, "Send once more", "to be sent once more", _ORDER, ("sent", "ready", "accepted"), "resend"
    ),
    "settle as accepted": ActOfTwo(
        arrived, _WHERE, "Settle as accepted", "would be accepted", _ORDER, ("sent", "accepted", "accepted"), "decide accepted"
    ),
    "settle as rejected": ActOfTwo(
        never_arrived, _WHERE, "Settle as rejected", "would be rejected", _ORDER, ("sent", "rejected", "rejected"), "decide rejected"
    ),
    "adopt": ActOfTwo(
        accepted_after_all,
        "/orders/{it}",
        "Adopt the rail's word",
        "would be accepted",
        _ORDER,
        ("rejected, the rail says accepted", "accepted", "accepted"),
        "adopt",
    ),
    "keep": ActOfTwo(
        accepted_by_mistake,
        "/orders/{it}",
        "Keep what stands",
        "that the rail says accepted would hold up the case no more",
        _ORDER,
        ("rejected, the rail says accepted", "rejected", "rejected"),
        "keep",
    ),
    "hold again": ActOfTwo(pair, "/orders/exempt", "Hold again", "would hold each other's orders", _PAIRS, ("1", "0", "0"), "hold again"),
    "resend many": ActOfTwo(
        batch,
        "/orders",
        "Send many once more",
        f"{BATCH} orders,",
        _BATCH,
        ("sent sent sent", "rejected ready ready", "rejected accepted accepted"),
        "resend",
        looks_for_batch,
        first_of_batch_is_settled,
    ),
    **{
        f"payout {name}": ActOfTwo(
            new_payout, "/payouts/one?id={it}", link, f"would be {state}", _PAYOUT, ("unpaid", state, state), f"payout {name}", fills
        )
        for name, link, state, fills in (
            ("confirm", "Confirm", "confirmed", nothing_more),
            ("paid", "Bank has its order", "paid", nothing_more),
            ("cancel", "Cancel", "cancelled", says_why_to_all),
        )
    },
    "transfer": ActOfTwo(
        paying_account,
        "/ledger/accounts/{it}",
        "Transfer from here",
        "700 RUB",
        "SELECT count(*) FROM kvitt_views.ledger_plans WHERE plan_id = 'sales-1'",
        ("0", "1", "1"),
        "ledger transfer",
        fills_transfer,
    ),
    "parties": ActOfTwo(
        nothing,
        "/parties",
        "Load a file",
        "party-1: would be revision 1",
        "SELECT count(*) FROM kvitt_views.parties",
        ("0", "1", "1"),
        "party load",
        pastes_parties,
    ),
    "mend and replay": ActOfTwo(
        letter,
        "/dead-letters/{it}",
        "Mend and replay",
        "it would order",
        _LETTER,
        ("open", "replayed", "replayed, accepted"),
        "replay dead letter",
        mends_letter,
    ),
    "take back": ActOfTwo(
        held, "/orders/{it}", "Take back", "would be withdrawn", _ORDER, ("ready, held", "withdrawn", "withdrawn"), "withdraw"
    ),
    "replay as it is": ActOfTwo(
        letter,
        "/dead-letters/{it}",
        "Replay as it is",
        "it would be answered FEILET",
        _REPLAYED,
        ("open", "replayed", "replayed"),
        "replay dead letter",
    ),
    "close a letter": ActOfTwo(
        letter, "/dead-letters/{it}", "Close", "would be closed as dealt with", _REPLAYED, ("open", "closed", "closed"), "close dead letter"
    ),
    "resume sending": ActOfTwo(behind_a_stop, "/sending", "Resume", "TILLSTPB", _ORDER, ("ready", "ready", "accepted"), "resume"),
    "stop sending": ActOfTwo(nothing, "/sending", "", "nothing more would be sent", _STOP, ("0", "1", "1"), "stop", stops_area),
    "report once more": ActOfTwo(
        run_of_days_before,
        "/reconciliation/{it}",
        "Report once more",
        "AAP",
        _RUNS.format(area="AAP"),
        ("good", "replaced made", "replaced good"),
        "reconcile again",
    ),
    "report what is left": ActOfTwo(
        nothing,
        "/reconciliation",
        "Report what is left",
        "TILTPENG",
        _RUNS.format(area="TILTPENG"),
        ("none", "made", "good"),
        "reconcile",
        reports_area,
    ),
    "set a limit": ActOfTwo(
        nothing,
        "/limits/used",
        "Set a limit",
        f"{LIMITED} may have",
        _LIMIT,
        ("none", "1000", "1000"),
        "set limit",
        limits_source,
    ),
    "clear a limit": ActOfTwo(limited, "/limits/used", "Clear", "as the settings have it", _LIMIT, ("1000", "none", "none"), "clear limit"),
}
"""By their names."""
