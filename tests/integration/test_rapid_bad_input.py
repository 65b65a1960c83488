"""What is wrong on the rapid: invalid needs are answered with all that is wrong, the rest of the bus is let go, nothing stops it."""

from typing import Any

import pytest

from kvitt.app.ports import PORTS
from kvitt.contracts.rapid import reply
from kvitt.contracts.rapid.wire.packet import Packet, Trace
from kvitt.disbursement.check import check
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.submit import Outcome
from support.hub_stage import again
from support.rapid_messages import LEFT_OUT, line, need
from support.rapid_stage import Rapid, other_case, rapid_on

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"utbetalingId": "ikke-en-uuid"}, "utbetalingId"),
    ({"fødselsnummer": LEFT_OUT}, "fødselsnummer"),
    ({"organisasjonsnummer": None}, "organisasjonsnummer"),
    ({"saksbehandler": LEFT_OUT}, "Utbetaling.saksbehandler"),
    ({"mottaker": None}, "Utbetaling.mottaker"),
    ({"fagsystemId": "x" * 31}, "Utbetaling.fagsystemId"),
    ({"fagsystemId": " \r\n"}, "Utbetaling.fagsystemId"),
    ({"maksdato": "13.12.2024"}, "Utbetaling.maksdato"),
    ({"fagområde": "DP"}, "Utbetaling.fagområde"),
    ({"endringskode": "NEI"}, "Utbetaling.endringskode"),
    ({"linjer": {}}, "Utbetaling.linjer"),
    ({"linjer": [line(sats="abc")]}, "sats"),
    ({"linjer": [line(sats="")]}, "sats"),
    ({"linjer": [line(sats=1000.5)]}, "sats"),
    ({"linjer": [line(sats=None)]}, "sats"),
    ({"linjer": [line(delytelseId="2e400")]}, "delytelseId"),
    ({"linjer": [line(grad=LEFT_OUT)]}, "grad"),
    ({"linjer": [line(satstype="ENG")]}, "satstype"),
    ({"linjer": [line(statuskode="HVIL")]}, "statuskode"),
    ({"linjer": [line(fom="2024-13-01")]}, "fom"),
    ({"linjer": [line(endringskode="X")]}, "endringskode"),
    ({"linjer": [line(datoStatusFom="i dag")]}, "datoStatusFom"),
    ({"linjer": [7]}, "linjer"),
]


@pytest.mark.parametrize(("changes", "path"), WRONG)
def test_an_invalid_need_is_answered_with_the_field_and_the_next_one_goes_on(rapid: Rapid, changes: dict[str, Any], path: str) -> None:
    """Neither silence, nor a loop, nor a zero in place of what can not be read (rapid §1.4)."""
    assert rapid.ask(need(**changes), other_case(1)) == [Outcome.ANSWERED, Outcome.DERIVED]
    (_, first), *_ = rapid.published()
    solution = first["@løsning"]["Utbetaling"]
    assert solution["status"] == "FEIL"
    assert path in solution["beskrivelse"]
    assert "avstemmingsnøkkel" not in solution
    rapid.finish()


def test_all_problems_are_reported_at_once_without_what_was_written(rapid: Rapid) -> None:
    rapid.ask(need(mottaker="hemmelig", saksbehandler=None, linjer=[line(sats="hemmelig", klassekode=None)]))
    seen = rapid.solution()["beskrivelse"]
    for path in ("Utbetaling.mottaker", "Utbetaling.saksbehandler", "sats", "klassekode"):
        assert path in seen
    assert "hemmelig" not in seen


def test_a_need_without_an_id_gets_one_when_it_is_read(rapid: Rapid) -> None:
    assert rapid.ask(need(**{"@id": LEFT_OUT})) == [Outcome.DERIVED]
    (_, answer), (_, ordered) = rapid.published()
    read, seen = answer["system_participating_services"]
    assert read["id"] == answer["@forårsaket_av"]["id"] == ordered["@forårsaket_av"]["id"] != seen["id"] == answer["@id"]
    rapid.finish()


def test_numbers_as_text_are_numbers(rapid: Rapid) -> None:
    assert rapid.ask(need(linjer=[line(sats=" 1450.00 ", delytelseId="1", grad="80")])) == [Outcome.DERIVED]
    assert rapid.published()[1][1]["linjer"][0]["sats"] == 1450
    rapid.finish()


def test_both_needs_in_one_message_are_refused_under_both_names(rapid: Rapid) -> None:
    rapid.ask(need(**{"@behov": ["Utbetaling", "Feriepengeutbetaling", "Noe"]}))
    ((_, answer),) = rapid.published()
    assert {name: solution["status"] for name, solution in answer["@løsning"].items()} == {
        "Utbetaling": "FEIL",
        "Feriepengeutbetaling": "FEIL",
    }


def test_a_need_that_is_named_among_others_is_answered_to_the_end(rapid: Rapid) -> None:
    """Its receipt is published on the one need that is ours, and stops nothing."""
    rapid.ask(need(**{"@behov": ["Noe", "Utbetaling"]}))
    rapid.finish()
    assert rapid.heard()[-1] == "AKSEPTERT"


def test_what_is_for_others_is_let_go(rapid: Rapid) -> None:
    answered = need(**{"@løsning": {"Utbetaling": {"status": "MOTTATT"}}})
    others = need(**{"@behov": ["Foreldrepenger"]})
    records = [
        None,
        b"[]",
        b'"Utbetaling"',
        b"{",
        b"\xff\xfe",
        {"@event_name": "hel_time", "time": 8},
        answered,
        others,
        {"a": "Utbetaling"},
    ]
    assert rapid.ask(*records) == [Outcome.SKIPPED] * len(records)
    own = [message for _, message in rapid.published()]
    assert (own, rapid.one("SELECT count(*) FROM messages"), rapid.one("SELECT count(*) FROM dead_letters")) == ([], 0, 0)


def test_our_own_words_are_let_go_when_they_come_by(rapid: Rapid) -> None:
    rapid.ask(need())
    rapid.finish()
    own = [message for _, message in rapid.published()]
    assert rapid.ask(*own) == [Outcome.SKIPPED] * len(own)


def test_what_was_to_be_a_need_and_is_no_json_is_kept(rapid: Rapid) -> None:
    assert rapid.ask(b'{"@behov":["Utbetaling"', other_case(1)) == [Outcome.DEAD, Outcome.DERIVED]
    assert rapid.rows("SELECT source, state FROM dead_letters") == [("tbd.rapid.v1", "open")]
    rapid.finish()


def test_a_need_that_no_answer_can_be_made_for_is_kept_and_its_neighbours_go_on(rapid: Rapid, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is part of its answer, so a fault of ours in telling would otherwise be met again at every try."""
    seen, broken = reply.packet.trace_of, need(**{"@event_name": "behov", "@behov": ["Utbetaling", "umulig"]})

    def trace(packet: Packet) -> Trace:
        found = seen(packet)
        if "umulig" in found.behov:
            raise ValueError("no trace")
        return found

    monkeypatch.setattr(reply.packet, "trace_of", trace)
    assert rapid.ask(other_case(1), broken, other_case(2)) == [Outcome.DERIVED, Outcome.DEAD, Outcome.DERIVED]
    assert rapid.rows("SELECT reason, message_no FROM dead_letters") == [("ValueError: no trace", None)]
    rapid.finish()


def test_a_need_without_lines_asks_for_nothing_and_hears_nothing(rapid: Rapid) -> None:
    assert rapid.ask(need(linjer=[])) == [Outcome.ANSWERED]
    assert rapid.published() == []
    rapid.ask(need())
    rapid.finish()
    assert rapid.heard()[-1] == "AKSEPTERT"


def test_silence_to_invalid_needs_can_be_had_back(database: str) -> None:
    with rapid_on(database, answer_invalid_needs=False) as rapid:
        assert rapid.ask(need(mottaker=None), need()) == [Outcome.ANSWERED, Outcome.DERIVED]
        rapid.finish()
        assert rapid.heard()[0] == "MOTTATT"
        assert rapid.rows("SELECT state, answer FROM messages ORDER BY message_no LIMIT 1") == [("answered", None)]
    assert check(database, PORTS).differences == ()


def test_receipts_that_nobody_understands_are_reported_and_stop_nothing(rapid: Rapid) -> None:
    """They are kept, not acknowledged and gone (rapid §3.3)."""
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    rapid.published()
    unread = RawReceipt("a", b"<oppdrag><mmel><alvorlighetsgrad>08</alvorlighetsgrad><kodeMelding>B606002F</kodeMelding></mmel>")
    empty = RawReceipt("b", unread.body + b"<oppdrag-110></oppdrag-110>")
    broken = RawReceipt("c", b"nothing at all")
    rapid.settle([unread, empty, broken, receipt, *again([receipt])])
    words = rapid.heard()
    assert words == ["raw receipt"] * 5 + ["rail AKSEPTERT", "AKSEPTERT"]
    rapid.settle([unread])
    assert rapid.heard() == []


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE idempotency_records SET digest = '\\x00'",
        "DELETE FROM idempotency_records",
        "UPDATE orders SET priority = 9",
        "UPDATE orders SET reconciliation_key = reconciliation_key + 1",
        "UPDATE outbox SET value = value || ' '::bytea WHERE message_no IS NULL",
        "DELETE FROM outbox WHERE message_no IS NULL",
        "UPDATE outbox SET key = 'x' WHERE outbox_no = 2",
        "UPDATE messages SET answer = replace(convert_from(answer, 'UTF8'), 'AKSEPTERT', 'AVVIST')::bytea",
        "UPDATE order_lines SET amount = amount + 1",
    ],
)
def test_the_check_finds_what_was_tampered_with(database: str, tamper: str) -> None:
    with rapid_on(database) as rapid:
        rapid.ask(need())
        rapid.finish()
        assert check(database, PORTS).differences == ()
        rapid.connection.execute(tamper.encode())
        assert check(database, PORTS).differences != ()
