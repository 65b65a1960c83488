"""The emulator judges reconciliation by its own records: each kind of difference, in messages written by hand."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from kvitt.app.main import main
from kvitt.kernel.queue import Outgoing
from kvitt.rails.oppdrag.emulator import Chance, DamageForm, Faults, reconciliations, set_faults
from kvitt.testing import TestServer
from support.emulator_orders import Line, order_xml
from support.emulator_stage import Rail, staged
from support.reported_runs import MADE, Consistency, Interface, active_line, detail

PAY = Line("L1", "2026-06-01", "2026-06-12", 500)
LATER = "2026-06-01-15.00.00.000001"
TABLES = (
    *("received", "receipt", "known_case", "entry", "reconciliation", "reconciliation_message"),
    *("reported_order", "reported_line", "reconciliation_difference"),
)
NOTED = detail("VARS", "SAK-2", "B110008W", "04", "Skatteopplysninger ikke funnet")
REJECTED = detail("AVVI", "SAK-1", "B110008F", "08", "Oppdraget finnes fra før", made=LATER)
UNANSWERED = detail("MANG", "SAK-4")
DAY = Interface(
    accepted=(1, 500, "T"),
    warned=(1, 700, "T"),
    rejected=(1, 40, "T"),
    missing=(1, 300, "T"),
    details=(NOTED, REJECTED, UNANSWERED),
)


@pytest.fixture(scope="module")
def playing(kvitt_server: TestServer) -> Iterator[Rail]:
    with kvitt_server.database() as conninfo, staged(conninfo) as rail:
        yield rail


@pytest.fixture
def rail(playing: Rail) -> Rail:
    """A rail that knows nothing and has no faults."""
    playing.conn.execute("TRUNCATE " + ", ".join(f"rail.{table}" for table in TABLES))
    set_faults(playing.conn, Faults())
    playing.now = datetime(2026, 6, 15, 12, tzinfo=UTC)
    return playing


@pytest.fixture
def day(rail: Rail) -> Rail:
    """The rail with the orders that DAY reports."""
    assert rail.ask(order_xml(PAY)) == ["00"]
    set_faults(rail.conn, Faults(warn=Chance(next=1)))
    assert rail.ask(order_xml(replace(PAY, amount=700), case="SAK-2"))[0][:2] == "04"
    assert rail.ask(order_xml(replace(PAY, amount=40), made=LATER))[0][:2] == "08"
    set_faults(rail.conn, Faults(swallow=Chance(next=1)))
    assert rail.ask(order_xml(replace(PAY, amount=300), case="SAK-4")) == []
    return rail


def found(rail: Rail, run_id: str | None = None) -> list[str]:
    """Where the newest run differs, as words; what is empty is left out."""
    each = rail.judged(run_id).differences
    return [" | ".join(text for text in (one.what.value, one.case_id, one.about, one.expected, one.found) if text) for one in each]


def test_a_run_that_says_what_the_rail_knows_agrees(day: Rail) -> None:
    day.report(*DAY.messages())
    assert found(day) == []
    run = day.judged()
    assert (run.agrees, run.kind, run.area, run.messages, run.repeats) == (True, "GRSN", "AAP", 3, 0)


def test_a_run_is_not_judged_before_its_end(day: Rail) -> None:
    day.report(*DAY.messages()[:2])
    run = day.judged()
    assert (run.ended_at, run.agrees, run.differences) == (None, False, ())


def test_totals_in_a_last_message_of_their_own_are_as_good(day: Rail) -> None:
    details, totals = DAY.data(totals=False), replace(DAY, details=()).data()
    day.report(DAY.start(), details, totals, DAY.end())
    assert found(day) == []
    other = replace(DAY, run_id="another-run-0123456789")
    day.report(other.start(), other.data(totals=False), other.data(), other.end())
    assert "totals not in the first DATA | DATA 2" in found(day)


@pytest.mark.parametrize(
    ("run", "differs"),
    [
        (replace(DAY, accepted=(2, 500, "T")), ["count | total | 4 | 5", "count | godkjent | 1 | 2"]),
        (replace(DAY, warned=(1, 701, "T")), ["sum | total | 1540 | 1541", "sum | varsel | 700 | 701"]),
        (replace(DAY, warned=(1, 700, "F"), total=(4, 1540, "T")), ["sign | varsel | T | F"]),
        (replace(DAY, missing=(1, None, "")), ["sum | total | 1540 | 1240", "sum | mangler | 300 | none"]),
        (replace(DAY, total=(5, 1540, "T")), ["count | total | 4 | 5"]),
    ],
)
def test_counts_sums_and_signs_are_compared(day: Rail, run: Interface, differs: list[str]) -> None:
    day.report(*run.messages())
    assert sorted(each for each in found(day) if not each.startswith("groups")) == sorted(differs)


def test_groups_add_up_to_the_total(day: Rail) -> None:
    day.report(*replace(DAY, total=(5, 1540, "T")).messages())
    assert found(day)[0] == "groups do not add up to the total | total | 4 orders, 1540 kr | 5 orders, 1540 kr"


@pytest.mark.parametrize(
    ("details", "differs"),
    [
        ((NOTED, REJECTED), ["no detail | SAK-4 | 2026-06-01-13.22.05.481516 | mangler | none"]),
        ((NOTED, NOTED, REJECTED, UNANSWERED), [f"detail twice | SAK-2 | {MADE} | none | VARS"]),
        ((NOTED, REJECTED, UNANSWERED, detail("MANG", "SAK-9")), [f"reported, not received | SAK-9 | {MADE} | none | MANG"]),
        ((NOTED, REJECTED, UNANSWERED, detail("MANG", "SAK-1")), [f"missing though answered | SAK-1 | {MADE} | godkjent | MANG"]),
        ((detail("MANG", "SAK-2"), REJECTED, UNANSWERED), [f"missing though answered | SAK-2 | {MADE} | varsel | MANG"]),
        (
            (NOTED, REJECTED, detail("AVVI", "SAK-4", "B1", "08", "nei")),
            [f"no answer was sent | SAK-4 | {MADE} | mangler | AVVI"],
        ),
        (
            (detail("AVVI", "SAK-2", "B110008W", "04", "Skatteopplysninger ikke funnet"), REJECTED, UNANSWERED),
            [f"answered otherwise | SAK-2 | {MADE} | varsel | AVVI"],
        ),
        (
            (detail("VARS", "SAK-2", "B1", "00", "Ja & nei", person="09090912345"), REJECTED, UNANSWERED),
            [
                "detail | SAK-2 | code | B110008W | B1",
                "detail | SAK-2 | person | 01020312345 | 09090912345",
                "detail | SAK-2 | severity | 04 | 00",
                "detail | SAK-2 | text | Skatteopplysninger ikke funnet | Ja & nei",
            ],
        ),
        (
            (NOTED, REJECTED, detail("MANG", "SAK-4", made="2026-06-01-13.22.05.481517")),
            [f"detail | SAK-4 | time | {MADE} | 2026-06-01-13.22.05.481517"],
        ),
    ],
)
def test_details_are_compared_with_what_was_answered(day: Rail, details: tuple[str, ...], differs: list[str]) -> None:
    day.report(*replace(DAY, details=details).messages())
    assert found(day) == differs


def test_the_order_of_messages_is_judged(day: Rail) -> None:
    start, data, end = DAY.messages()
    day.report(data, start, end)
    assert found(day) == ["no START first | START | DATA"]
    day.report(data)
    assert found(day) == ["no START first | START | DATA", "message after the end | DATA"]


def test_messages_that_come_twice_or_not_at_all_are_named(day: Rail) -> None:
    start, data, end = DAY.messages()
    day.report(start, start, data, data, end)
    words = [each.partition(" |")[0] for each in found(day)]
    assert words[:4] == ["START twice", "message twice", "message twice", "totals not in the first DATA"]
    assert words[4:] == ["detail twice"] * 3
    lacking = replace(DAY, run_id="without-data-012345678")
    day.report(lacking.start(), lacking.end())
    words = [each.partition(" |")[0] for each in found(day)]
    assert words == ["no DATA", "no totals", "range reported before", *["no detail"] * 3]


def test_what_the_queue_hands_out_again_is_recognised(day: Rail) -> None:
    for _ in range(2):
        day.reports.put([Outgoing(f"same{place}", body) for place, body in enumerate(DAY.messages())])
        day.work()
        day.reports.prune(day.now.replace(year=2100))
    run = day.judged()
    assert (run.messages, run.repeats, run.differences) == (3, 3, ())


def test_fields_are_the_same_in_all_messages(day: Rail) -> None:
    day.report(DAY.start(), DAY.data(), replace(DAY, fields={"brukerId": "SPENN", "nokkelTom": "2026-06-02-23.59.59.999999"}).end())
    assert found(day) == [
        "fields differ between messages | brukerId | AAP | SPENN",
        "fields differ between messages | nokkelTom | 2026-06-01-23.59.59.999999 | 2026-06-02-23.59.59.999999",
    ]


def test_a_message_has_seventy_details_at_most(rail: Rail) -> None:
    set_faults(rail.conn, Faults(swallow=Chance(1.0)))
    cases = [f"SAK-{number:03}" for number in range(71)]
    rail.ask(*(order_xml(PAY, case=case) for case in cases))
    run = Interface(missing=(71, 71 * 500, "T"), details=[detail("MANG", case) for case in cases])
    rail.report(*run.messages())
    assert [each.partition(" |")[0] for each in found(rail)] == ["too many details"]
    other = replace(run, run_id="in-two-messages-012345")
    first, second = replace(other, details=other.details[:70]), replace(other, details=other.details[70:])
    rail.report(other.start(), first.data(), second.data(totals=False), other.end())
    assert [each.partition(" |")[0] for each in found(rail)] == ["range reported before"]


def test_a_range_is_reported_once(day: Rail) -> None:
    day.report(*DAY.messages())
    wider = replace(DAY, run_id="wider-range-0123456789", last="2026-06-02-23.59.59.999999")
    day.report(*wider.messages())
    assert found(day) == [f"range reported before | {DAY.run_id}"]
    day.report(*replace(DAY, run_id="another-area-012345678", area="DP", accepted=(0, 0, "T")).messages())
    assert not any(each.startswith("range") for each in found(day))


def test_an_id_is_used_once(day: Rail) -> None:
    day.report(*DAY.messages())
    day.report(*replace(DAY, first="2026-06-02-00.00.00.000000", last="2026-06-02-23.59.59.999999").messages())
    assert found(day) == [f"message after the end | {action}" for action in ("START", "DATA", "AVSL")]


def test_keys_are_a_range_of_one_kind(rail: Rail) -> None:
    rail.report(*Interface(first="501", last="2026-06-02-23.59.59.999999").messages())
    assert found(rail) == ["keys are no range | 501 to 2026-06-02-23.59.59.999999"]


def test_orders_of_another_sender_are_none_of_a_runs(day: Rail) -> None:
    day.report(*replace(DAY, component="EF").messages())
    assert found(day)[0] == "orders of another sender | AAP | EF"
    assert f"reported, not received | SAK-4 | {MADE} | none | MANG" in found(day)


def test_an_order_that_the_run_does_not_have_is_a_difference(day: Rail) -> None:
    day.ask(order_xml(replace(PAY, amount=90), case="SAK-5"))
    day.report(*DAY.messages())
    assert found(day) == ["count | godkjent | 2 | 1", "count | total | 5 | 4", "sum | godkjent | 590 | 500", "sum | total | 1630 | 1540"]


def test_an_answer_that_was_sent_after_the_run_began_does_not_count(rail: Rail) -> None:
    set_faults(rail.conn, Faults(delay=Chance(next=1), delay_seconds=60))
    assert rail.ask(order_xml(PAY)) == []
    run = Interface(missing=(1, 500, "T"), details=[detail("MANG", "SAK-1")])
    rail.report(run.start(), run.data())
    rail.now += timedelta(minutes=5)
    assert len(rail.ask()) == 1
    rail.report(run.end())
    assert found(rail) == []


def test_an_order_that_came_twice_with_the_same_bytes_is_one(rail: Rail) -> None:
    set_faults(rail.conn, Faults(swallow=Chance(next=1)))
    assert rail.ask(order_xml(PAY)) == []
    assert rail.ask(order_xml(PAY))[0].startswith("08 B110008F")
    run = Interface(rejected=(1, 500, "T"), details=[detail("AVVI", "SAK-1", "B110008F", "08", "Oppdraget finnes fra før")])
    rail.report(*run.messages())
    assert found(rail) == []


def test_an_answer_that_left_with_its_severity_alone_is_reported_so(rail: Rail) -> None:
    set_faults(rail.conn, Faults(warn=Chance(next=1), damage=Chance(next=1), damage_forms=(DamageForm.BARE_ANSWER,)))
    assert rail.ask(order_xml(PAY)) == ["04"]
    rail.report(*Interface(warned=(1, 500, "T"), details=[detail("VARS", "SAK-1", severity="04")]).messages())
    assert found(rail) == []


def test_lost_and_invented_orders_are_seen(rail: Rail) -> None:
    set_faults(rail.conn, Faults(lose=Chance(next=1)))
    assert rail.ask(order_xml(PAY, case="GONE")) == []
    set_faults(rail.conn, Faults(invent=Chance(next=1)))
    assert rail.ask(order_xml(PAY)) == ["00"]
    assert sorted(rail.outcomes()) == ["accepted", "invented", "lost"]
    assert rail.paid("GONE") == []
    rail.report(*Interface(accepted=(1, 500, "T"), missing=(1, 500, "T"), details=[detail("MANG", "GONE")]).messages())
    gone, invented = found(rail)[1], found(rail)[0]
    assert gone == f"reported, not received | GONE | {MADE} | none | MANG"
    assert invented.startswith("no detail | invented-")


def number(amount: int, key: str, case: str, made: str = "2024-01-25T10:11:12.345") -> bytes:
    return order_xml(replace(PAY, amount=amount), case=case, area="OM", component="EX", key=key, made=made)


def numbers(**changes: object) -> Interface:
    plain = Interface(area="OM", component="EX", first="9", last="10", plain=True, warned=(0, None, ""), rejected=(0, None, ""))
    return replace(plain, **{"missing": (0, None, ""), **changes})  # type: ignore[arg-type]


def test_numbers_are_compared_as_numbers_and_a_late_answer_is_reported_again(rail: Rail) -> None:
    assert rail.ask(number(500, "9", "A")) == ["00"]
    set_faults(rail.conn, Faults(delay=Chance(next=1), delay_seconds=60))
    assert rail.ask(number(300, "10", "B")) == []
    late = detail("MANG", "B", made="2024-01-25-10.11.12.345000")
    rail.report(*numbers(accepted=(1, 500, "T"), missing=(1, 300, "T"), details=[late]).messages())
    assert found(rail) == []
    rail.now += timedelta(minutes=5)
    assert len(rail.ask(number(200, "11", "C"))) == 2
    rail.report(*numbers(run_id="second-run-01234567890", first="10", last="11", accepted=(2, 500, "T")).messages())
    assert found(rail) == []
    rail.report(*numbers(run_id="same-numbers-012345678", first="10", last="11", accepted=(2, 500, "T")).messages())
    assert found(rail)[-1] == "range reported before | second-run-01234567890"
    assert rail.ask(number(100, "12", "D")) == ["00"]
    rail.report(*numbers(run_id="third-run-012345678901", first="10", last="12", accepted=(2, 400, "T")).messages())
    assert found(rail) == ["count | godkjent | 1 | 2", "count | total | 1 | 2", "sum | godkjent | 100 | 400", "sum | total | 100 | 400"]


def test_a_sum_below_zero_has_its_sign(rail: Rail) -> None:
    assert rail.ask(order_xml(replace(PAY, sign="F"))) == ["00"]
    rail.report(*Interface(accepted=(1, 500, "F")).messages())
    assert found(rail) == []
    rail.report(*Interface(run_id="with-its-minus-0123456", accepted=(1, -500, "F"), total=(1, -500, "F")).messages())
    assert [each.partition(" |")[0] for each in found(rail)] == ["range reported before"]


def test_what_can_not_be_read_is_kept_and_holds_nothing_up(day: Rail) -> None:
    noise = [b"", b"\xff\x00", b"<oppdrag/>", b"<!DOCTYPE a><a/>", replace(DAY, fields={"kildeType": "MOTT"}).data()]
    day.report(*noise, *replace(DAY, run_id="all-is-well-0123456789").messages())
    assert len(found(day, "")) == 4
    assert found(day, DAY.run_id)[0].endswith("kildeType is MOTT, and not AVLEV")
    assert found(day, "all-is-well-0123456789") == []
    assert len(reconciliations(day.conn)) == 3


def test_two_emulators_read_one_run_in_order(day: Rail) -> None:
    others = [day.another() for _ in range(2)]
    day.reports.put([Outgoing(f"run{place}", body) for place, body in enumerate(DAY.messages())])
    while sum(other.step() for other in others):
        pass
    for other in others:
        other.close()
    assert found(day) == []


L1, L2 = Line("L1", "2026-06-01", "2026-06-12", 640), Line("L2", "2026-06-15", "2026-06-30", 700, ref="L1")
L3 = Line("L3", "2026-06-01", "2026-06-30", 100, class_code="AAPOR")
REPORTED = {"SAK-1": [active_line("L2", "2026-06-15", "2026-06-30", 700)], "SAK-2": [active_line("L3", "2026-06-01", "2026-06-30", 100)]}


@pytest.fixture
def lines(rail: Rail) -> Rail:
    """Two cases with a line in force each, one whose line has passed, one whose line was ceased."""
    assert rail.ask(order_xml(L1, L2), order_xml(L3, case="SAK-2"), order_xml(L1, case="SAK-3"), order_xml(L3, case="SAK-4")) == ["00"] * 4
    ceased = replace(L3, ceased_from="2026-06-10")
    assert rail.ask(order_xml(ceased, case="SAK-4", change="ENDR")) == ["00"]
    return rail


def test_lines_in_force_agree_by_their_own_arithmetic(lines: Rail) -> None:
    lines.report(*Consistency(REPORTED, (2, 800, "T")).messages())
    assert found(lines) == []
    assert lines.judged().kind == "KONS"


def test_lines_are_compared_case_by_case(lines: Rail) -> None:
    other = {
        "SAK-1": [active_line("L2", "2026-06-15", "2026-06-30", 701), active_line("L1", "2026-06-01", "2026-06-12", 640)],
        "SAK-4": [active_line("L3", "2026-06-01", "2026-06-30", 100)] * 2,
    }
    lines.report(*Consistency(other, (3, 1500, "F")).messages())
    assert found(lines) == [
        "count | total | 2 | 3",
        "sum | total | 1541 | -1500",
        "line | SAK-1 | L2 | 2026-06-15 to 2026-06-30, 700 DAG7 | 2026-06-15 to 2026-06-30, 701 DAG7",
        "line not in force | SAK-1 | L1 | none | 2026-06-01 to 2026-06-12, 640 DAG7",
        "line not reported | SAK-2 | L3 | 2026-06-01 to 2026-06-30, 100 DAG7 | none",
        "line not in force | SAK-4 | L3 | none | 2026-06-01 to 2026-06-30, 100 DAG7",
        "line twice | SAK-4 | L3 | none | 2026-06-01 to 2026-06-30, 100 DAG7",
    ]


def test_a_run_about_lines_is_as_of_its_moment(lines: Rail) -> None:
    lines.now += timedelta(days=1)
    assert lines.ask(order_xml(replace(L3, line_id="L9"), case="SAK-9")) == ["00"]
    lines.report(*Consistency(REPORTED, (2, 800, "T")).messages())
    assert found(lines) == []


def test_an_area_without_lines_is_reported_with_zeros(rail: Rail) -> None:
    rail.report(*Consistency({}, (0, 0, "T")).messages())
    assert found(rail) == []


def kvitt(rail: Rail, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["emulator", "reconciliation", *arguments, "--database", rail.conninfo], prog_name="kvitt")


def test_runs_are_listed_and_a_difference_is_a_failure(day: Rail) -> None:
    assert (kvitt(day).exit_code, kvitt(day).output) == (0, "nothing was reported to the rail\n")
    day.report(*DAY.messages()[:2])
    assert kvitt(day).output.split()[-1] == "open"
    day.report(DAY.end())
    assert (kvitt(day).exit_code, kvitt(day).output.split()[-1]) == (0, "agrees")
    day.report(*replace(DAY, run_id="without-one-0123456789", details=(NOTED, REJECTED)).messages())
    listed = kvitt(day)
    assert listed.exit_code == 1
    assert f"    SAK-4 {MADE} expected mangler, found none\n" in listed.output
    rows = [json.loads(line) for line in kvitt(day, "--json").stdout.splitlines()]
    assert [(row["run_id"], row["outcome"]) for row in rows] == [
        (DAY.run_id, "agrees"),
        ("without-one-0123456789", "2 differences"),
    ]
    assert rows[1]["differences"][1]["what"] == "no detail"
    assert kvitt(day, "--run", DAY.run_id).exit_code == 0
    assert "the rail has heard of no run" in kvitt(day, "--run", "other").output
