"""The contracts' pages say what the code does: their tables and examples are computed again, their texts and topics compared."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import pytest

from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.read import derived_payment_id
from kvitt.contracts.rapid.wire.solutions import TEXTS, SolutionStatus
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.derive.forwarded import HOLIDAY_PAY_CODES
from kvitt.disbursement.derive.micro_chained import extend
from kvitt.disbursement.values import (
    CaseId,
    HoldBackCause,
    LineId,
    Period,
    Scheme,
)
from kvitt.formats import topics
from kvitt.payouts.rules import KIND_OF
from kvitt.rails.oppdrag.order_xml import encode_line_id
from support.decided_case import DecidedCase, read_state, said_of

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "docs" / "contracts"
PAGES = sorted(CONTRACTS.glob("*.md"))
_PERIOD = re.compile(r"(\d+)–(\d+) at (\d+)")
_LINE = re.compile(r"N\d→(?:L|N\d) (.*)")


def page(name: str) -> str:
    return (CONTRACTS / f"{name}.md").read_text("utf-8")


def section(name: str, number: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(rf"(?m)^#+ {re.escape(number)} .*$", page(name))[1].partition("\n#")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a section's tables, without heads."""
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if line.lstrip().startswith("|")]
    return [each for each in cells if not set("".join(each)) <= set("- ")]


def periods(text: str) -> tuple[Period, ...]:
    """`1–5 at 640, 8–12 at 710`, in June 2026."""
    return tuple(Period(date(2026, 6, int(start)), date(2026, 6, int(end)), int(amount)) for start, end, amount in _PERIOD.findall(text))


MICRO_CHAINS = [row for row in rows(section("iverksetting", "§3.6")) if re.fullmatch(r"M\d+", row[0])]


def test_the_table_of_micro_chaining_has_twenty_cases() -> None:
    assert [row[0] for row in MICRO_CHAINS] == [f"M{number}" for number in range(1, 21)]


@pytest.mark.parametrize("row", MICRO_CHAINS, ids=lambda row: row[0])
def test_the_table_of_micro_chaining_is_what_is_sent(row: Sequence[str]) -> None:
    accepted = periods(row[1])
    wanted = (*accepted, *periods(row[2])) if row[2].startswith("and ") else periods(row[2])
    change = extend(accepted, wanted)
    said = row[3].split("; ")
    ends = [int(each.removeprefix("L ends from ")) for each in said if each.startswith("L ends")]
    assert ([change.cease_from.day] if change.cease_from else []) == ends
    assert change.new == tuple(period for each in said if (line := _LINE.fullmatch(each)) for period in periods(line[1]))


CHAINS = [row for row in rows(section("iverksetting", "§2.4")) if re.fullmatch(r"W\d+", row[0])]


def test_the_table_of_chains_across_decisions_has_twenty_cases() -> None:
    assert [row[0] for row in CHAINS] == [f"W{number}" for number in range(1, 21)]


@pytest.mark.parametrize("row", CHAINS, ids=lambda row: row[0])
def test_the_table_of_chains_across_decisions_is_what_is_sent(row: Sequence[str]) -> None:
    case = DecidedCase()
    _, before, decided, lines = row
    for state in before.split(", then "):
        case.decides(read_state(_in_short(state)))
    order = case.decides(read_state(_in_short(decided)))
    made = said_of(order.lines) if order else ""
    assert re.sub(r"!(\d+) \d+-\d+@\d+", r"!\1", made) == _in_short(lines)


def _in_short(text: str) -> str:
    """`K2 1–12 at 72` as `b:1-12@72`, `#1→#0` as `#1>#0`, `#0 ends from 13` as `#0!13`; "nothing" and "none" are nothing."""
    for said, short in ((" ends from ", "!"), ("→", ">"), ("–", "-"), (" at ", "@"), ("K2 ", "b:"), ("; ", " "), (", ", " ")):
        text = text.replace(said, short)
    return "" if text in ("nothing", "none") else text


def test_derived_ids_are_those_of_the_page() -> None:
    vectors = [re.findall(r"`([^`]+)`", "|".join(row)) for row in rows(section("helved", "§2.3"))[1:]]
    assert len(vectors) == 2
    for scheme, case_id, reporting_period, class_code, payment_id in vectors:
        assert derived_payment_id(Scheme(scheme), CaseId(case_id), reporting_period, class_code) == payment_id


def test_the_line_id_of_the_page_is_written_as_it_says() -> None:
    found = re.search(r"`([0-9a-f-]{36})`\s+is\s+`([^`]+==)`", section("helved", "§2.2"))
    assert found
    assert encode_line_id(LineId(found[1])) == found[2]


def test_the_reconciliation_key_of_the_page_is_its_moment_in_nanoseconds() -> None:
    found = re.search(r"`([^`.]+)\.(\d{9})(\+\d\d:\d\d)` is\s+`(\d+)`", section("rapid", "§2.8"))
    assert found
    assert int(datetime.fromisoformat(found[1] + found[3]).timestamp()) * 10**9 + int(found[2]) == int(found[4])


def test_every_topic_is_on_its_page() -> None:
    text = page("helved").replace("{aap,dp,ts,tp}", "aap")
    named = {*helved_topics.SCHEME_OF_INPUT, *helved_topics.OUTPUTS} - {topics.PAYOUT_EVENTS, *helved_topics.DRY_RUNS.values()} | {
        "helved.dryrun-aap.v1"
    }
    assert not {topic for topic in named if f"`{topic}`" not in text}
    assert f"`{topics.RAPID}`" in page("rapid")
    assert f"`{topics.PAYOUT_EVENTS}`" in page("payouts")


def test_every_area_and_cause_of_a_hold_back_is_on_its_page() -> None:
    text = section("helved", "§2.4")
    streams = {area for area in AREAS if not area.startswith("SP")}
    assert not {area for area in streams if f"`{area}`" not in text}
    assert not {cause for cause in HoldBackCause if f"`{cause.value}`" not in text}


def test_the_rapids_texts_and_bulk_codes_are_on_its_page() -> None:
    text = page("rapid")
    assert not {each for status, each in TEXTS.items() if status is not SolutionStatus.FAILED and f"`{each}`" not in text}
    assert TEXTS[SolutionStatus.FAILED] in text
    assert not {code for code in HOLIDAY_PAY_CODES if f"`{code}`" not in section("rapid", "§3.2")}


def test_the_table_of_postings_is_what_they_are_taken_for() -> None:
    said = {(row[1], target): row[0] for row in rows(section("payouts", "§2.3"))[1:] for target in row[2].split(", ")}
    known = {(_dotted(source), _dotted(target)): kind.value.replace("_", " ") for (source, target), kind in KIND_OF.items()}
    assert {pair: kind.removeprefix("payout ") if kind == "payout fixed fee" else kind for pair, kind in known.items()} == said


def _dotted(account: str) -> str:
    return account.replace("_", ".", 1)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_and_files_of_a_page_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    linked = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)}
    assert not {link for link in linked if not (path.parent / link).is_file()}
    assert not {name for name in re.findall(r"`((?:src|tests)/[^`]+)`", text) if not (ROOT / name).exists()}
