"""Orders of a scheme that wants it are simulated before they leave, over HTTP, and held where the rail would do something else."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from kvitt.app.main import main
from kvitt.app.ports import checks_of, ports_of
from kvitt.contracts.helved import topics
from kvitt.disbursement import order_check_ends, simulate
from kvitt.disbursement.holding import UNCHECKED, HoldKind, HoldReason
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.order_check_ends import AGAIN_AFTER, is_posted
from kvitt.disbursement.order_checks import ask_due_checks
from kvitt.disbursement.order_page import CheckShown, OrderShown, order_page
from kvitt.disbursement.resolve import Resolve
from kvitt.disbursement.simulation_requests import listing
from kvitt.disbursement.states import OrderState, What
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from kvitt.kernel.fault_points import OF_SIMULATIONS
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.emulator.habits import ServiceFaults
from kvitt.settings import CheckSettings, Settings, SimulationSettings
from kvitt.testing import Hub, TestServer, hub
from support import rapid_messages
from support import simulation_answers as answers
from support.case_histories import answered
from support.hub_messages import Json, aap, dp, payment_uid, tp, ts, ts_payment, valp
from support.simulation_answers import Of, Row
from support.simulation_server import SIMULATION, ScriptedServer, asking, says, scripted_server

CHECKS = {
    "AAP": CheckSettings(policy="block", most_recovered_kroner=1000),
    "TILLEGGSSTØNADER": CheckSettings(policy="warn"),
    "DAGPENGER": CheckSettings(policy="block", when_silent="send"),
    "SYKEPENGER": CheckSettings(policy="block"),
}
TWO = Operator("kari", "seen by both", "ola")
DAYS = ("2026-06-01", "2026-06-12")
_numbers = count(1)


def with_checks(settings: Settings) -> Settings:
    return replace(settings, simulation=replace(settings.simulation, checks=CHECKS))


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    """A hub whose rail is the emulator."""
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, settings=with_checks(Settings())) as made:
        yield made
        assert made.rail.violations() == ()
        made.check()


@pytest.fixture(scope="module")
def scripted(kvitt_server: TestServer) -> Iterator[tuple[Hub, ScriptedServer]]:
    """A hub whose rail takes orders, and simulates what a test wants."""
    with (
        kvitt_server.database() as conninfo,
        scripted_server() as server,
        hub(conninfo=conninfo, settings=with_checks(asking(server))) as made,
    ):
        yield made, server
        made.check()


@pytest.fixture
def case() -> str:
    return f"C-{next(_numbers)}"


def put(site: Hub, scheme: Scheme, case: str, body: Json, *, number: int = 1) -> str:
    """Hands in a message, and returns its key."""
    key = f"{case}-{number}"
    site.put(topics.primary_input(scheme), key, body)
    site.run("intake")
    return key


def orders(site: Hub, case: str) -> list[OrderShown]:
    """The orders of a case, oldest first."""
    found = Operate(site.connection, site.clock, site.ports).orders_of_case(case, list(OrderState))
    return sorted((order_page(site.conninfo, each.order_id) for each in found), key=lambda each: each.number)


def order(site: Hub, case: str) -> OrderShown:
    """The newest order of a case."""
    return orders(site, case)[-1]


def check_of(shown: OrderShown) -> CheckShown:
    (check,) = shown.checks
    return check


def statuses(site: Hub, key: str) -> list[str]:
    return [each.json["status"] for each in site.published(topics.STATUSES, key)]


def release(site: Hub, shown: OrderShown) -> tuple[HoldReason, ...]:
    return Operate(site.connection, site.clock, site.ports).release(shown.order_id, TWO)


def shown(site: Hub, of: OrderShown, *options: str) -> str:
    """The page of an order, as the command prints it."""
    done = CliRunner().invoke(main, ["order", "show", of.order_id, "--database", site.conninfo, *options])
    assert done.exit_code == 0, done.output
    return done.output


def simulated(case: str, amount: int, *, area: str = "AAP", code: str = "AAPOR", days: Sequence[str] = DAYS, recovers: int = 0) -> bytes:
    """An answer that pays these days so much in all, and recovers something besides."""
    first, last = days
    rows = [Row(first, f"{amount}.00", class_code=code, end=last, rate_type="DAG")]
    if recovers:
        rows += [
            Row(first, f"{recovers}.00", class_code=code, end=last),
            Row(first, f"{recovers}.00", "FEIL", "KL_KODE_FEIL_ARBYT", end=last),
            Row(first, f"-{recovers}.00", "MOTP", "TBMOTOBS", end=last),
        ]
    return answers.computed((first, last, [Of(rows, area=area, case_id=case)]), computed_on="2026-06-15")


def test_an_order_waits_until_it_is_simulated_and_leaves_when_that_agrees(site: Hub, case: str) -> None:
    key = put(site, Scheme.AAP, case, aap(case))
    assert order(site, case).held_for == (UNCHECKED,)
    site.run("sender", "relay")
    assert order(site, case).state == OrderState.READY
    assert Operate(site.connection, site.clock, site.ports).waiting_orders() == []
    site.run()
    assert statuses(site, key)[-1] == "OK"
    check = check_of(order(site, case))
    assert (check.finding, check.recovered, check.differences) == ("agrees", 0, ())
    (part,) = check.picture
    assert (str(part.first_day), str(part.last_day), part.stands_kroner, part.expected_kroner, part.simulated_kroner) == (
        *DAYS,
        0,
        5000,
        5000,
    )


def test_orders_of_other_schemes_leave_at_once(site: Hub, case: str) -> None:
    key = put(site, Scheme.VALP, case, valp(case))
    assert order(site, case).checks == ()
    site.run()
    assert statuses(site, key)[-1] == "OK"


def test_several_areas_of_a_message_leave_together_and_no_order_meets_a_simulation(site: Hub, case: str) -> None:
    payments = [ts_payment(payment_uid(case, number), benefit=name) for number, name in enumerate(("TILSYN_BARN_AAP", "LÆREMIDLER_AAP"))]
    key = put(site, Scheme.TILLEGGSSTONADER, case, ts(case, *payments))
    assert [each.held_for for each in orders(site, case)] == [(UNCHECKED,), (UNCHECKED,)]
    (request,) = listing(site.connection, key=(Scheme.TILLEGGSSTONADER, case))
    site.run()
    assert [check_of(each).request_no for each in orders(site, case)] == [request.request_no] * 2
    assert statuses(site, key)[-1] == "OK"


def test_what_the_rail_would_do_otherwise_holds_the_order_with_both_pictures(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 4000))]}
    key = put(site, Scheme.AAP, case, aap(case))
    site.run()
    held = order(site, case)
    assert held.state == OrderState.READY
    assert [(each.kind, each.text) for each in held.held_for] == [
        (HoldKind.SIMULATED_OTHERWISE, "AAPOR from 2026-06-01 to 2026-06-12: 5000 is wanted, and the rail would pay 4000")
    ]
    assert [each.order_id for each in Operate(site.connection, site.clock, site.ports).waiting_orders()] == [held.order_id]
    check = check_of(held)
    assert (check.finding, check.picture[0].expected_kroner, check.picture[0].simulated_kroner) == ("differs", 5000, 4000)
    assert statuses(site, key) == ["MOTTATT"]
    page = shown(site, held)
    for part in ("simulated before it leaves", "what was decided, and what the rail would do", "5,000", "4,000", "block", "differs"):
        assert part in page
    (heard,) = json.loads(shown(site, held, "--json"))["checks"]
    assert [(each["expected_kroner"], each["simulated_kroner"]) for each in heard["picture"]] == [(5000, 4000)]
    assert [each["kind"] for each in heard["differences"]] == ["other_amount"]
    assert release(site, held) == ()
    site.run()
    assert statuses(site, key)[-1] == "OK"
    site.check()


def test_more_recovered_than_is_allowed_holds_the_order(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    site.clock.advance(timedelta(days=3))
    server.asked.clear()
    server.scripts = {SIMULATION: [says(simulated(case, 4000, recovers=1000)), says(simulated(case, 3000, recovers=2000))]}
    key = put(site, Scheme.AAP, case, aap(case, 400), number=2)
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).recovered) == ("OK", 1000)
    site.clock.advance(timedelta(days=3))
    put(site, Scheme.AAP, case, aap(case, 300), number=3)
    site.run()
    (reason,) = order(site, case).held_for
    assert (reason.kind, reason.amounts_kroner) == (HoldKind.RECOVERS, (1000, 2000))
    release(site, order(site, case))
    site.run()


def test_a_warning_lets_the_order_go_and_is_counted(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    code = "TSTBASISP4-OP"
    server.scripts = {SIMULATION: [says(simulated(case, 1, area="TILLST", code=code, days=("2026-06-01", "2026-06-05")))]}
    before = counted(Scheme.TILLEGGSSTONADER, "differs")
    key = put(site, Scheme.TILLEGGSSTONADER, case, ts(case, ts_payment(payment_uid(case))))
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "differs")
    assert counted(Scheme.TILLEGGSSTONADER, "differs") == before + 1


def counted(scheme: Scheme, finding: str) -> int:
    labels = (Counted.CHECKS, (scheme.value, finding))
    return sum(each.times for each in METRICS.counts() if (each.what, each.labels) == labels)


def test_an_order_waits_for_a_rail_that_is_closed_and_is_asked_about_again(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = put(site, Scheme.AAP, case, aap(case))
    site.run()
    waiting = order(site, case)
    assert (waiting.held_for, check_of(waiting).finding, statuses(site, key)) == ((UNCHECKED,), None, ["MOTTATT"])
    assert check_of(waiting).waits_for
    assert Operate(site.connection, site.clock, site.ports).waiting_orders() == []
    assert ask(site) == 0
    site.rail.simulation(faults=ServiceFaults())
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 1
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).times_asked) == ("OK", 2)


def ask(site: Hub) -> int:
    """Does what the job does."""
    with site.connection.transaction():
        return ask_due_checks(site.connection, site.ports, site.clock())


def test_one_that_was_asked_about_in_vain_for_long_waits_for_a_person(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    put(site, Scheme.AAP, case, aap(case))
    operate = Operate(site.connection, site.clock, site.ports)
    for _ in range(11):
        site.run()
        assert operate.waiting_orders() == []
        site.clock.advance(AGAIN_AFTER)
        assert ask(site) == 1
    assert [each.order_id for each in operate.waiting_orders()] == [order(site, case).order_id]
    site.rail.simulation(faults=ServiceFaults())
    site.run()
    assert (operate.waiting_orders(), order(site, case).state) == ([], OrderState.ACCEPTED)


def test_nobody_is_asked_again_while_the_rail_is_closed_by_its_hours(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    site.rail.simulation(faults=ServiceFaults())
    evening = site.clock().replace(hour=22)
    site.clock.advance(evening - site.clock())
    assert ask(site) == 0
    site.clock.advance(timedelta(hours=10))
    assert ask(site) == 1
    site.run()
    assert order(site, case).state == OrderState.ACCEPTED


def test_where_it_may_leave_unchecked_it_does_not_wait(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = put(site, Scheme.DAGPENGER, case, dp(case))
    site.run()
    site.rail.simulation(faults=ServiceFaults())
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "unavailable")


def test_two_people_may_let_an_order_go_that_waits_for_the_rail(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = put(site, Scheme.AAP, case, aap(case))
    site.run()
    site.rail.simulation(faults=ServiceFaults())
    assert release(site, order(site, case)) == ()
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "skipped")


def test_one_that_is_let_go_before_it_is_asked_about_is_not_asked_about(site: Hub, case: str) -> None:
    key = put(site, Scheme.AAP, case, aap(case))
    assert release(site, order(site, case)) == ()
    site.run()
    (request,) = listing(site.connection, key=(Scheme.AAP, case))
    assert (request.times_asked, request.reason, statuses(site, key)[-1]) == (0, "not asked", "OK")


def test_an_order_may_be_taken_back_while_it_waits(site: Hub, case: str) -> None:
    key = put(site, Scheme.AAP, case, aap(case))
    Operate(site.connection, site.clock, site.ports).withdraw(order(site, case).order_id, Operator("kari", "not meant"))
    site.run()
    assert (order(site, case).state, statuses(site, key)[-1]) == (OrderState.WITHDRAWN, "FEILET")


def test_what_waits_while_its_case_is_contradicted_is_derived_and_checked_anew(site: Hub, case: str) -> None:
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    first = order(site, case)
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = put(site, Scheme.AAP, case, aap(case, 600), number=2)
    site.run()
    site.rail.reply(answered(first.message, "08", "nei"))
    site.run()
    assert [each.kind for each in order(site, case).held_for] == [HoldKind.UNCHECKED, HoldKind.CONTRADICTION]
    site.rail.simulation(faults=ServiceFaults())
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 0
    Resolve(site.connection, site.clock, site.ports).adopt(first.order_id, TWO)
    assert [each.state for each in orders(site, case)] == [OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.READY]
    site.run()
    assert check_of(order(site, case)).finding is not None
    put(site, Scheme.AAP, case, aap(case, 600), number=3)
    release(site, order(site, case))
    site.run()
    assert statuses(site, key)[-1] in {"OK", "FEILET"}


class Died(BaseException):
    """The process is no more."""


@pytest.mark.parametrize(("place", "times_asked"), [*zip(OF_SIMULATIONS, (1, 2, 2, 1), strict=True)])
def test_wherever_the_simulator_dies_a_check_ends_once(
    site: Hub, case: str, place: str, times_asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(there: str) -> None:
        if there == place:
            raise Died

    key = put(site, Scheme.AAP, case, aap(case))
    with monkeypatch.context() as patched:
        patched.setattr(simulate, "fault_point", dies)
        with pytest.raises(Died):
            site.run()
    site.run()
    (request,) = listing(site.connection, key=(Scheme.AAP, case))
    assert (request.times_asked, check_of(order(site, case)).finding, statuses(site, key)[-1]) == (times_asked, "agrees", "OK")
    assert [each.what for each in order(site, case).noted].count(What.CHECKED) == 1


def test_what_is_held_for_something_else_is_asked_about_once_that_is_released(site: Hub, case: str) -> None:
    one, other = payment_uid(case, 1), payment_uid(case, 2)
    entries = [{"id": each, "fom": DAYS[0], "tom": DAYS[1], "sats": 1000, "utbetaltBeløp": 500} for each in (one, other)]
    key = put(site, Scheme.AAP, case, aap(case, utbetalinger=entries))
    site.run()
    assert [each.kind for each in order(site, case).held_for] == [HoldKind.PAID_TWICE, HoldKind.UNCHECKED]
    assert (ask(site), listing(site.connection, key=(Scheme.AAP, case))) == (0, [])
    assert release(site, order(site, case)) == (UNCHECKED,)
    assert ask(site) == 1
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "agrees")


def test_what_can_not_be_simulated_is_held(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(answers.fault("Personen finnes ikke"), 500)]}
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    (reason,) = order(site, case).held_for
    assert (reason.kind, check_of(order(site, case)).finding) == (HoldKind.SIMULATION_REFUSED, "refused")


def too_long(case: str) -> Json:
    """A message with more lines than the rail simulates."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    entries = [
        {
            "id": payment_uid(case, number // 100),
            **dict.fromkeys(("fom", "tom"), str((first + timedelta(days=number)).date())),
            "sats": 1000,
            "utbetaltBeløp": 1 + number % 7,
        }
        for number in range(1500)
    ]
    return aap(case, utbetalinger=entries)


def test_a_check_that_can_not_be_ended_waits_for_its_next_attempt_and_holds_up_nobody(
    scripted: tuple[Hub, ScriptedServer], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}

    def fails(*_: object) -> None:
        raise KeyError("of ours")

    with monkeypatch.context() as broken:
        broken.setattr(order_check_ends, "pay_by_payments", fails)
        put(site, Scheme.AAP, case, aap(case))
        site.run()
        assert [each.kind for each in order(site, case).held_for] == [HoldKind.UNCHECKED]
        site.put(topics.primary_input(Scheme.TILTAKSPENGER), f"{case}-dry", tp(f"{case}-other", dryrun=True))
        site.run()
        assert statuses(site, f"{case}-dry") or site.published(topics.DRY_RUNS[Scheme.TILTAKSPENGER], f"{case}-dry")
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 1
    site.run()
    assert order(site, case).state == OrderState.ACCEPTED


def test_an_order_with_too_many_lines_is_held_at_once(site: Hub, case: str) -> None:
    put(site, Scheme.AAP, case, too_long(case))
    (reason,) = [each for each in order(site, case).held_for if each.kind is not HoldKind.PAID_TWICE]
    assert (reason.kind, check_of(order(site, case)).finding) == (HoldKind.SIMULATION_REFUSED, "refused")
    site.run()
    assert (order(site, case).state, listing(site.connection, key=(Scheme.AAP, case))) == (OrderState.READY, [])


def test_before_the_order_before_is_posted_a_difference_says_nothing(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    key = put(site, Scheme.AAP, case, aap(case, 400), number=2)
    site.run()
    check = check_of(order(site, case))
    assert (order(site, case).held_for, check.finding) == ((UNCHECKED,), None)
    assert check.due_at
    assert check.due_at > site.clock() + timedelta(minutes=10)
    server.scripts = {SIMULATION: [says(simulated(case, 4000))]}
    site.clock.set(check.due_at + timedelta(hours=8))
    assert ask(site) >= 1
    site.run()
    assert statuses(site, key)[-1] == "OK"


# A decision names the simulation that its approver saw.


def named(site: Hub, scheme: Scheme, case: str, body: Json, seen: str) -> str:
    key = f"{case}-named-{next(_numbers)}"
    site.put(topics.primary_input(scheme), key, body, headers=[("Simulering", seen)])
    site.run()
    return key


def failure(site: Hub, key: str) -> tuple[int, str]:
    error = site.published(topics.STATUSES, key)[-1].json["error"]
    return error["statusCode"], error["msg"]


def test_a_decision_that_names_what_was_seen_leaves_as_long_as_the_rail_says_so(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    site.put(topics.primary_input(Scheme.AAP), f"{case}-seen", aap(case, dryrun=True))
    site.run()
    key = named(site, Scheme.AAP, case, aap(case), f"{case}-seen")
    assert statuses(site, key)[-1] == "OK"


def test_one_of_which_the_rail_says_otherwise_now_is_refused_with_both(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    site.put(topics.primary_input(Scheme.AAP), f"{case}-seen", aap(case, dryrun=True))
    site.run()
    server.scripts = {SIMULATION: [says(simulated(case, 3000, recovers=2000))]}
    key = named(site, Scheme.AAP, case, aap(case), f"{case}-seen")
    said = "AAPOR 2026-06-01–2026-06-12: utbetalt 5000 da, 3000 nå, feilutbetalt 0 da, 2000 nå"
    assert failure(site, key) == (409, f"Oppdragssystemet svarer nå noe annet enn simuleringen det vises til: {said}")
    refused = order(site, case)
    assert (refused.state, check_of(refused).refusal) == (OrderState.WITHDRAWN, failure(site, key)[1])
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    again = put(site, Scheme.AAP, case, aap(case), number=2)
    site.run()
    assert statuses(site, again)[-1] == "OK"
    site.check()


def test_a_message_that_waits_behind_a_refused_one_goes_on(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    site.put(topics.primary_input(Scheme.AAP), f"{case}-one", aap(case), headers=[("simulering", "never asked")])
    site.put(topics.primary_input(Scheme.AAP), f"{case}-two", aap(case))
    site.run()
    assert failure(site, f"{case}-one") == (409, "Simuleringen det vises til finnes ikke for saken")
    assert statuses(site, f"{case}-two")[-1] == "OK"


def test_what_was_seen_before_the_case_had_another_order_is_stale(site: Hub, case: str) -> None:
    """Also where the scheme wants no check by itself."""
    site.put(topics.primary_input(Scheme.TILTAKSPENGER), f"{case}-seen", tp(case, dryrun=True))
    site.run()
    put(site, Scheme.TILTAKSPENGER, case, tp(case, 200))
    site.run()
    key = named(site, Scheme.TILTAKSPENGER, case, tp(case), f"{case}-seen")
    assert failure(site, key) == (409, "Simuleringen det vises til er utdatert; simuler på nytt")


def test_what_was_seen_long_ago_is_stale(site: Hub, case: str) -> None:
    site.put(topics.primary_input(Scheme.TILTAKSPENGER), f"{case}-seen", tp(case, dryrun=True))
    site.run()
    site.clock.advance(days=1, minutes=1)
    assert failure(site, named(site, Scheme.TILTAKSPENGER, case, tp(case), f"{case}-seen"))[0] == 409


def test_orders_of_all_areas_are_refused_together(site: Hub, case: str) -> None:
    payments = [ts_payment(payment_uid(case, number), benefit=name) for number, name in enumerate(("TILSYN_BARN_AAP", "LÆREMIDLER_AAP"))]
    key = named(site, Scheme.TILLEGGSSTONADER, case, ts(case, *payments), "never asked")
    assert {each.state for each in orders(site, case)} == {OrderState.WITHDRAWN}
    assert failure(site, key)[0] == 409


def test_what_is_posted_when() -> None:
    """On the working day after acceptance; Midsummer Eve is one."""
    thursday = datetime(2026, 6, 18, 10, tzinfo=UTC)
    assert is_posted(None, thursday)
    assert [is_posted(thursday, thursday + timedelta(days=days)) for days in (0, 1, 2)] == [False, True, True]
    friday = thursday + timedelta(days=1)
    assert [is_posted(friday, friday + timedelta(days=days)) for days in (0, 1, 2, 3)] == [False, False, False, True]


def test_an_order_of_the_rapid_is_checked_by_its_senders_lines(site: Hub) -> None:
    site.put(RAPID, "24068715888", json.loads(rapid_messages.EXAMPLE))
    site.run()
    (check,) = order(site, rapid_messages.CASE_ID).checks
    assert (check.finding, check.differences) == ("agrees", ())
    assert sum(each.simulated_kroner for each in check.picture) == 15 * 1450


def test_settings_name_schemes_that_there_are() -> None:
    every = SimulationSettings(checks=dict.fromkeys([each.value for each in Scheme], CheckSettings(policy="warn")))
    assert {*checks_of(every)} == {*Scheme}
    assert checks_of(SimulationSettings(checks={"AAP": CheckSettings()})) == {}
    assert ports_of(Settings().rapid, Settings().ops).rails.checks == {}


def test_what_nobody_can_have_seen_is_refused_though_its_scheme_wants_no_check(kvitt_hub: Hub, case: str) -> None:
    key = named(kvitt_hub, Scheme.AAP, case, too_long(case), "never asked")
    assert failure(kvitt_hub, key) == (409, "Simuleringen det vises til finnes ikke for saken")
    assert orders(kvitt_hub, case) == []
    kvitt_hub.check()


def test_one_that_names_what_was_seen_waits_for_the_rail_though_its_scheme_does_not(site: Hub, case: str) -> None:
    site.put(topics.primary_input(Scheme.DAGPENGER), f"{case}-seen", dp(case, dryrun=True))
    site.run()
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = named(site, Scheme.DAGPENGER, case, dp(case), f"{case}-seen")
    assert (order(site, case).held_for, statuses(site, key)) == ((UNCHECKED,), ["MOTTATT"])
    site.rail.simulation(faults=ServiceFaults())
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 1
    site.run()
    assert statuses(site, key)[-1] == "OK"


# Orders of one message.


def of_two_areas(site: Hub, case: str) -> str:
    payments = [ts_payment(payment_uid(case, number), benefit=name) for number, name in enumerate(("TILSYN_BARN_AAP", "LÆREMIDLER_AAP"))]
    return put(site, Scheme.TILLEGGSSTONADER, case, ts(case, *payments))


def test_while_the_rail_is_silent_about_one_order_of_a_message_none_of_them_leaves(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(b"", 503)]}
    of_two_areas(site, case)
    site.run()
    first, second = (check_of(each) for each in orders(site, case))
    assert first.due_at == second.due_at
    assert ask(site) == 0
    assert {each.state for each in orders(site, case)} == {OrderState.READY}
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 2


def test_nothing_is_asked_about_a_case_while_an_order_of_it_is_free_to_leave(site: Hub, case: str) -> None:
    of_two_areas(site, case)
    first, _ = orders(site, case)
    release(site, first)
    site.run("simulator")
    (request,) = listing(site.connection, key=(Scheme.TILLEGGSSTONADER, case))
    assert request.state == "requested"
    site.run()
    # The question was about both; what the rail has by now it refuses, and the other is asked about alone.
    assert ask(site) == 1
    site.run()
    assert {each.state for each in orders(site, case)} == {OrderState.ACCEPTED}
    site.check()
