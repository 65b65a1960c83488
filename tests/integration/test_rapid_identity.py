"""Who asks again hears the same again, and nothing is sent twice: repeats, resends and queues of needs (rapid §2.3)."""

import pytest
from click.testing import CliRunner

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.disbursement.history import history
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from support.hub_stage import again, receipt_with
from support.rapid_messages import CASE_ID, EXAMPLE, line, need
from support.rapid_stage import Rapid, other_case

OTHER_PAYMENT = "00000000-0000-4000-8000-000000000001"


def orders(rapid: Rapid) -> int:
    return int(str(rapid.one("SELECT count(*) FROM orders")))


@pytest.mark.parametrize("steps", ["", "put", "put receipt"])
def test_the_same_need_again_hears_what_was_published_last_and_sends_nothing(rapid: Rapid, steps: str) -> None:
    """A repeat at any stage transmits nothing, under no other key (rapid §2.3)."""
    rapid.ask(need())
    if "put" in steps:
        rapid.put()
    if "receipt" in steps:
        rapid.settle(rapid.rail())
    *_, last = [message["@løsning"]["Utbetaling"] for _, message in rapid.published() if "@løsning" in message]
    changed_outside = need(**{"@id": "7b0fbb59-13a5-4f7d-8d0e-0c51b0a60001", "system_read_count": 4, "ekstra": {"a": 1}})
    assert rapid.ask(changed_outside) == [Outcome.ANSWERED]
    ((_, again),) = rapid.published()
    assert again["@løsning"]["Utbetaling"] == last
    assert (again["ekstra"], again["system_read_count"]) == ({"a": 1}, 5)
    assert orders(rapid) == 1
    rapid.finish()


def test_blanks_around_the_case_id_are_no_other_identity_and_are_echoed(rapid: Rapid) -> None:
    rapid.ask(need())
    rapid.published()
    rapid.ask(need(fagsystemId=f"{CASE_ID}\r\n"))
    ((_, answer),) = rapid.published()
    assert answer["Utbetaling"]["fagsystemId"] == f"{CASE_ID}\r\n"
    assert orders(rapid) == 1
    rapid.finish()


@pytest.mark.parametrize("settled", [False, True])
def test_another_content_under_the_same_identity_is_refused(rapid: Rapid, settled: bool) -> None:
    rapid.ask(need())
    if settled:
        rapid.finish()
    rapid.published()
    assert rapid.ask(need(linjer=[line(sats=9999)])) == [Outcome.ANSWERED]
    refused = rapid.solution()
    assert refused["status"] == "FEIL"
    assert "brukt før, med et annet innhold" in refused["beskrivelse"]
    assert orders(rapid) == 1
    rapid.finish()
    rapid.published()
    rapid.ask(need())
    assert rapid.solution()["status"] == "AKSEPTERT"


@pytest.mark.parametrize("severity", ["08", "12"])
def test_after_no_for_good_the_need_comes_again_with_its_new_lines(rapid: Rapid, severity: str) -> None:
    """The new need is what is stored, sent and answered."""
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    rapid.settle([receipt_with(receipt, severity, "nei")])
    first = next(message["avstemmingsnøkkel"] for _, message in rapid.published() if message["@event_name"] == "oppdrag_utbetaling")
    assert rapid.ask(need(linjer=[line(sats=1500)], **{"@behovId": "nytt"})) == [Outcome.DERIVED]
    (receipt,) = rapid.exchange()
    rapid.settle([receipt_with(receipt, "00")])
    records = [message for _, message in rapid.published()]
    assert [message["@behovId"] for message in records if "@løsning" in message] == ["nytt"] * 3
    ordered = records[1]
    assert (ordered["totalbeløp"], ordered["avstemmingsnøkkel"] != first) == (1500, True)
    assert records[-1]["@løsning"]["Utbetaling"]["status"] == "AKSEPTERT"
    assert rapid.order_states(CASE_ID) == ["rejected", "accepted"]


def test_a_late_receipt_of_an_earlier_transmission_changes_nothing(rapid: Rapid) -> None:
    """The newer status stays (rapid §2.6)."""
    rapid.ask(need())
    (first,) = rapid.exchange()
    rapid.settle([receipt_with(first, "08", "nei")])
    rapid.ask(need())
    (second,) = rapid.exchange()
    rapid.settle([receipt_with(second, "00")])
    rapid.published()
    rapid.settle([receipt_with(first, "08", "nei, sa vi", message_id="late"), *again([first], "late too")])
    assert rapid.heard() == ["raw receipt", "raw receipt"]
    rapid.ask(need())
    assert rapid.solution()["status"] == "AKSEPTERT"


def test_a_second_need_of_a_case_waits_for_its_turn(rapid: Rapid) -> None:
    rapid.ask(need())
    second = need(utbetalingId=OTHER_PAYMENT, endringskode="ENDR", linjer=[line(delytelseId=2, fom="2024-04-01", tom="2024-04-05")])
    rapid.published()
    assert rapid.ask(second) == [Outcome.QUEUED]
    waiting = rapid.solution()
    assert (waiting["status"], "avstemmingsnøkkel" in waiting) == ("MOTTATT", False)
    assert rapid.ask(second) == [Outcome.ANSWERED]
    assert rapid.heard() == ["MOTTATT"]
    rapid.put()
    rapid.published()
    rapid.settle(rapid.rail())
    assert rapid.heard() == ["raw receipt", "rail AKSEPTERT", "AKSEPTERT", "MOTTATT", "ordered"]
    rapid.finish()
    assert rapid.heard()[-1] == "AKSEPTERT"
    assert rapid.order_states(CASE_ID) == ["accepted", "accepted"]


def test_an_operator_reads_the_case_like_any_other(rapid: Rapid) -> None:
    rapid.ask(need(), need(linjer=[line(sats=7)]))
    rapid.finish()
    found = history(rapid.conninfo, PORTS, Scheme.SYKEPENGER, CASE_ID)
    assert [each.answer.status.value for each in found.published] == ["MOTTATT", "FEILET", "HOS_OPPDRAG", "OK"]
    assert [each.answer.error is None for each in found.messages if each.answer] == [True, False]
    assert "audit 1: ordered" in [event.text for event in found.events]
    runner = CliRunner()
    for options in ([], ["--json"]):
        shown = runner.invoke(main, ["case", "syk", CASE_ID, "--database", rapid.conninfo, *options])
        assert (shown.exit_code, "SPREF" in shown.output) == (0, True), shown.output


def test_one_payment_may_have_an_employers_and_a_persons_order(rapid: Rapid) -> None:
    person = need(fagsystemId="PERSONSAK", fagområde="SP", mottaker="24068715888", linjer=[line(klassekode="SPATORD")])
    assert rapid.ask(need(), person) == [Outcome.DERIVED, Outcome.DERIVED]
    rapid.finish()
    assert rapid.rows("SELECT area, state FROM orders ORDER BY area") == [("SP", "accepted"), ("SPREF", "accepted")]


def test_two_persons_under_one_identity_are_each_answered_for_themselves(rapid: Rapid) -> None:
    """A receipt moves the one whose order it names (rapid §2.3)."""
    other = need(fødselsnummer="11111111111", linjer=[line(delytelseId=2, sats=77)])
    rapid.ask(need(), other)
    rapid.finish()
    seen = {
        message["fødselsnummer"]: message["status"] for _, message in rapid.published() if message["@event_name"] == "transaksjon_status"
    }
    assert seen == {"24068715888": "AKSEPTERT", "11111111111": "AVVIST"}


def test_repeats_within_one_batch_and_under_one_position_are_one(rapid: Rapid) -> None:
    first = rapid.record(EXAMPLE.encode())
    assert rapid.submit([first, rapid.record(need())]) == [Outcome.DERIVED, Outcome.ANSWERED]
    assert rapid.submit([first]) == [Outcome.REPEATED]
    assert orders(rapid) == 1
    rapid.finish()


def test_a_line_that_is_paid_already_holds_the_order_for_an_operator(rapid: Rapid) -> None:
    rapid.ask(need())
    rapid.finish()
    rapid.published()
    rapid.ask(need(utbetalingId=OTHER_PAYMENT, endringskode="ENDR", linjer=[line(delytelseId=7)]))
    assert rapid.put() == 0
    assert rapid.heard() == ["MOTTATT", "ordered"]
    (order,) = Operate(rapid.connection, rapid.clock, PORTS).orders([OrderState.READY], held_only=True)
    Operate(rapid.connection, rapid.clock, PORTS).withdraw(order.order_id, Operator("vakt", "dobbelt"))
    assert rapid.solution()["status"] == "FEIL"
    rapid.ask(need(utbetalingId=OTHER_PAYMENT, endringskode="ENDR", linjer=[line(delytelseId=7, sats=1)]))
    assert rapid.put() == 1
    rapid.finish()


def test_two_needs_of_one_instant_have_keys_of_their_own(rapid: Rapid) -> None:
    rapid.ask(*(other_case(number) for number in range(50)))
    keys = [key for (key,) in rapid.rows("SELECT reconciliation_key FROM orders")]
    assert len(set(keys)) == 50
    rapid.finish()
