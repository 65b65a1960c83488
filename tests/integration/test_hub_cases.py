"""One order of a case at a time, one message after the other, and no message sinks another (design §4)."""

import threading
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.answers import Status
from kvitt.disbursement.rail import Encoded
from kvitt.disbursement.settle import Settle
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.disbursement.values import Order, Scheme
from kvitt.errors import InvalidOrderMessage
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator import spans
from kvitt.rails.oppdrag.rail import Oppdrag
from support.hub_messages import PERSON, aap, dp, historisk, payment_uid, tp, ts, ts_payment
from support.hub_stage import Stage, receipt_with, staged

DP, AAP, TS, TP = Scheme.DAGPENGER, Scheme.AAP, Scheme.TILLEGGSSTONADER, Scheme.TILTAKSPENGER


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


def amounts(stage: Stage, case: str, area: str = "DP") -> list[int]:
    return [span.amount for span in spans(stage.connection, area, case)]


def test_messages_wait_for_the_receipt_and_are_derived_against_what_it_made_true(stage: Stage) -> None:
    stage.hand_in(DP, ("k1", dp("S", 100)))
    assert stage.hand_in(DP, ("k2", dp("S", 200)), ("k3", dp("S", 300))) == [Outcome.QUEUED, Outcome.QUEUED]
    assert stage.said("k2") == ["MOTTATT"]
    (receipt,) = stage.exchange()
    stage.settle([receipt])
    assert stage.rows("SELECT state FROM messages ORDER BY message_no") == [("answered",), ("derived",), ("queued",)]
    assert stage.rows("SELECT is_first_order FROM orders ORDER BY number") == [(True,), (False,)]
    stage.finish()
    assert [stage.final(key).status for key in ("k1", "k2", "k3")] == [Status.OK] * 3
    assert amounts(stage, "S") == [300]


def test_a_message_of_the_same_batch_waits_too(stage: Stage) -> None:
    assert stage.hand_in(DP, *((f"k{n}", dp("S", 100 + n)) for n in range(5))) == [Outcome.DERIVED] + [Outcome.QUEUED] * 4
    stage.finish()
    assert amounts(stage, "S") == [104]
    assert stage.rows("SELECT open_orders, queued FROM cases") == [(0, 0)]


def test_a_long_queue_is_worked_off_one_order_at_a_time(stage: Stage) -> None:
    stage.hand_in(DP, *((f"k{n}", dp("S", 100 + n // 2)) for n in range(70)))
    stage.finish()
    assert stage.one("SELECT count(*) FROM messages WHERE state = 'answered'") == 70
    assert stage.one("SELECT count(*) FROM orders") == 35
    assert all(stage.final(f"k{n}").status is Status.OK for n in range(70))


def test_messages_that_open_no_order_are_all_answered_in_the_transaction_of_the_receipt(stage: Stage) -> None:
    bad = dp("S", behandlingId="x" * 31)
    stage.hand_in(DP, ("k1", dp("S", 100)), *((f"b{n}", bad) for n in range(45)), ("k2", dp("S", 100)), ("k3", dp("S", 200)))
    stage.settle(stage.exchange())
    assert stage.rows("SELECT state, count(*) FROM messages GROUP BY state ORDER BY state") == [("answered", 47), ("derived", 1)]
    assert stage.final("k2").status is Status.OK
    assert {stage.final(f"b{n}").status for n in range(45)} == {Status.FAILED}


def test_after_a_rejection_the_next_message_is_compared_with_what_held_before(stage: Stage) -> None:
    stage.hand_in(DP, ("k1", dp("S", 100)))
    stage.finish()
    stage.hand_in(DP, ("k2", dp("S", 200)), ("k3", dp("S", 100)), ("k4", dp("S", 300)))
    (receipt,) = stage.exchange()
    stage.settle([receipt_with(receipt, "08", "nei")])
    assert [stage.final(key).status.value for key in ("k2", "k3")] == ["FEILET", "OK"]
    assert stage.said("k3") == ["MOTTATT", "OK"]
    assert stage.order_states("S") == ["accepted", "rejected", "ready"]


def test_a_case_with_an_unknown_order_keeps_its_messages_queued(stage: Stage) -> None:
    stage.hand_in(DP, ("k1", dp("S", 100)), ("k2", dp("S", 200)))
    (receipt,) = stage.exchange()
    stage.settle([receipt_with(receipt, "99")])
    assert stage.said("k2") == ["MOTTATT"]
    assert stage.hand_in(DP, ("k3", dp("S", 300))) == [Outcome.QUEUED]


def test_a_dry_run_is_refused_at_once_while_an_order_is_open_and_simulated_against_the_new_truth_afterwards(stage: Stage) -> None:
    stage.hand_in(DP, ("k1", dp("S", 100)), ("early", dp("S", 200, dryrun=True)))
    stage.hand_in(DP, ("later", dp("S", 200, dryrun=True)))
    for key in ("early", "later"):
        (refused,) = stage.answers(key)
        assert refused.error
        assert (refused.status, refused.dry_run, refused.error.status) == (Status.FAILED, True, 409)
        assert "Saken har et åpent oppdrag" in refused.error.text
    stage.settle(stage.exchange())
    stage.hand_in(DP, ("dry", dp("S", 200, dryrun=True)), ("same", dp("S", 100, dryrun=True)))
    assert stage.said("dry") == []
    assert b"<kodeEndring>ENDR</kodeEndring>" in stage.bytes("SELECT question FROM simulation_questions")[0]
    assert [(answer.status, answer.dry_run) for answer in stage.answers("same")] == [(Status.OK, True)]
    assert stage.one("SELECT count(*) FROM orders") == 1


def test_cases_do_not_wait_for_each_other(stage: Stage) -> None:
    stage.hand_in(DP, ("k1", dp("S")), ("k2", dp("T")))
    assert stage.hand_in(AAP, ("k3", aap("S"))) == [Outcome.DERIVED]
    assert stage.hand_in(DP, ("k4", dp("S", 7))) == [Outcome.QUEUED]


def test_two_cases_that_claim_one_payment_id_in_one_batch_leave_their_neighbours_alone(stage: Stage) -> None:
    uid = payment_uid("shared")
    batch = [("k0", aap("N0")), ("k1", aap("A", uid=uid)), ("k2", aap("N1")), ("k3", aap("B", uid=uid)), ("k4", aap("N2"))]
    assert stage.hand_in(AAP, *batch) == [Outcome.DERIVED, Outcome.DERIVED, Outcome.DERIVED, Outcome.ANSWERED, Outcome.DERIVED]
    refused = stage.final("k3").error
    assert refused
    assert (refused.status, refused.text) == (400, "Kan ikke endre 'sakId'")
    stage.finish()
    assert [stage.final(f"k{n}").status.value for n in range(5)] == ["OK", "OK", "OK", "FEILET", "OK"]


def test_two_queued_messages_that_claim_one_payment_id_do_not_sink_the_receipts(stage: Stage) -> None:
    uid = payment_uid("shared")
    stage.hand_in(AAP, ("a1", aap("A")), ("b1", aap("B")), ("a2", aap("A", uid=uid)), ("b2", aap("B", uid=uid)))
    stage.finish()
    assert [stage.final(key).status.value for key in ("a1", "b1", "a2", "b2")] == ["OK", "OK", "OK", "FEILET"]
    assert stage.one("SELECT count(*) FROM receipts WHERE outcome <> 'accepted'") == 0


def test_the_same_record_handed_in_again_is_a_repeat_and_its_neighbours_are_not(stage: Stage) -> None:
    first = stage.incoming(DP, "k1", dp("S", 100))
    stage.submit([first])
    fresh = stage.incoming(DP, "k2", dp("T", 100))
    assert stage.submit([first, fresh]) == [Outcome.REPEATED, Outcome.DERIVED]
    assert stage.said("k1") == ["MOTTATT"]
    assert stage.one("SELECT count(*) FROM orders") == 2


def test_a_key_used_again_is_a_message_of_its_own(stage: Stage) -> None:
    stage.hand_in(DP, ("k", dp("S", 100)))
    stage.finish()
    assert stage.hand_in(DP, ("k", dp("S", 100))) == [Outcome.ANSWERED]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK", "OK"]


def test_an_order_too_large_for_the_rail_is_refused_and_blocks_nothing(stage: Stage) -> None:
    entries = [
        {"meldeperiode": f"m{n}", "dato": "2026-06-01", "sats": 1, "utbetaltBeløp": 1, "utbetalingstype": "Dagpenger"}
        for n in range(33_000)
    ]
    batch = [("k0", dp("N0")), ("big", dp("S", utbetalinger=entries)), ("k1", dp("N1"))]
    assert stage.hand_in(DP, *batch) == [Outcome.DERIVED, Outcome.ANSWERED, Outcome.DERIVED]
    assert stage.final("big").status is Status.FAILED
    stage.finish()
    assert [stage.final(key).status for key in ("k0", "k1")] == [Status.OK] * 2


def test_a_queued_order_too_large_for_the_rail_does_not_sink_the_receipt(stage: Stage) -> None:
    entries = [
        {"meldeperiode": f"m{n}", "dato": "2026-06-01", "sats": 1, "utbetaltBeløp": 1, "utbetalingstype": "Dagpenger"}
        for n in range(33_000)
    ]
    stage.hand_in(DP, ("k0", dp("S")), ("big", dp("S", utbetalinger=entries)), ("k1", dp("S", 7)))
    stage.finish()
    assert [stage.final(key).status.value for key in ("k0", "big", "k1")] == ["OK", "FEILET", "OK"]


def test_writers_on_the_same_cases_take_turns(stage: Stage) -> None:
    def write(number: int, failures: list[BaseException]) -> None:
        try:
            with connect(stage.conninfo) as connection:
                submit = Submit(connection, stage.clock, PORTS).execute
                for turn in range(10):
                    cases = [f"S{(turn + n) % 3}" for n in range(3)]
                    batch = [stage.incoming(DP, f"{number}-{turn}-{case}", dp(case, 100 * number + turn)) for case in cases]
                    positions = [1_000_000 * number + 10 * turn + n for n in range(3)]
                    submit([msgspec.structs.replace(each, position=place) for each, place in zip(batch, positions, strict=True)])
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failures.append(error)

    failures: list[BaseException] = []
    writers = [threading.Thread(target=write, args=(number, failures)) for number in range(1, 4)]
    _run(writers)
    assert failures == []
    stage.finish()
    assert stage.one("SELECT count(*) FROM messages WHERE state = 'answered'") == 90
    assert stage.one('SELECT count(*) FROM outbox WHERE topic = %s AND value LIKE \'{"status":"OK"%%\'', helved_topics.STATUSES) == 90
    assert stage.one("SELECT max(open_orders) + max(queued) FROM cases") == 0
    last = "SELECT body FROM messages WHERE case_no = %s ORDER BY message_no DESC LIMIT 1"
    for case_no, case in stage.rows("SELECT case_no, case_id FROM cases"):
        wanted = msgspec.json.decode(stage.bytes(last, case_no)[0])["utbetalinger"][0]["utbetaltBeløp"]
        assert amounts(stage, str(case)) == [wanted]


def _run(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_receipts_settled_in_parallel_with_new_messages_lose_neither(stage: Stage) -> None:
    stage.hand_in(DP, *((f"a{n}", dp(f"S{n}", 100)) for n in range(40)))
    receipts = stage.exchange()
    more = [stage.incoming(DP, f"b{n}", dp(f"S{n}", 200)) for n in range(40)]

    def settle() -> None:
        with connect(stage.conninfo) as connection:
            for receipt in reversed(receipts):
                Settle(connection, stage.clock, PORTS).execute([receipt])

    def submit() -> None:
        with connect(stage.conninfo) as connection:
            for first in range(0, 40, 4):
                Submit(connection, stage.clock, PORTS).execute(more[first : first + 4])

    _run([threading.Thread(target=settle), threading.Thread(target=submit)])
    stage.finish()
    assert {stage.final(f"{part}{n}").status for part in "ab" for n in range(40)} == {Status.OK}
    assert {amount for n in range(40) for amount in amounts(stage, f"S{n}")} == {200}


def test_the_case_list_tells_living_payments_in_the_order_in_which_they_joined(stage: Stage) -> None:
    uids = [payment_uid("S", number) for number in range(3)]
    for number, uid in enumerate(uids):
        stage.hand_in(TS, (f"k{number}", ts("S", ts_payment(uid, amount=100 + number))))
        stage.finish()
    stage.hand_in(TS, ("gone", ts("S", ts_payment(uids[0], spans=()))))
    stage.finish()
    stage.hand_in(TS, ("back", ts("S", ts_payment(uids[0]))))
    stage.finish()
    published = stage.bytes("SELECT value FROM outbox WHERE topic = %s ORDER BY outbox_no", helved_topics.CASES)
    lists = [msgspec.json.decode(value) for value in published]
    assert lists == [uids[:1], uids[:2], uids, uids[1:], [*uids[1:], uids[0]]]


def test_a_case_belongs_to_one_person_for_life(stage: Stage) -> None:
    stage.hand_in(TP, ("k1", tp("S")))
    stage.finish()
    stage.hand_in(TP, ("k2", tp("S", 1, personident="02020312345")), ("k3", tp("S", 300, personident=PERSON)))
    stage.finish()
    assert [stage.final(key).status.value for key in ("k2", "k3")] == ["FEILET", "OK"]


def test_historical_cases_are_apart_from_others_of_the_same_id(stage: Stage) -> None:
    stage.hand_in(Scheme.HISTORISK, ("k1", historisk("S")))
    stage.hand_in(TP, ("k2", tp("S")))
    stage.finish()
    assert stage.one("SELECT count(*) FROM cases") == 2


def test_an_order_that_its_rail_does_not_take_is_answered_alone_and_its_neighbours_leave(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate = Oppdrag.validate

    def refuse(rail: Oppdrag, made: Sequence[tuple[Order, Encoded]]) -> None:
        if any(order.case_id == "B" for order, _ in made):
            raise InvalidOrderMessage("fagsystemId breaks SCHEMAV_CVC_LENGTH_VALID")
        validate(rail, made)

    monkeypatch.setattr(Oppdrag, "validate", refuse)
    outcomes = stage.hand_in(DP, ("a", dp("A", 100)), ("b", dp("B", 100)), ("c", dp("C", 100)))
    assert outcomes == [Outcome.DERIVED, Outcome.ANSWERED, Outcome.DERIVED]
    stage.finish()
    assert [stage.final(key).status.value for key in ("a", "b", "c")] == ["OK", "FEILET", "OK"]
    assert stage.rows("SELECT reason FROM dead_letters") == [("InvalidOrderMessage: fagsystemId breaks SCHEMAV_CVC_LENGTH_VALID",)]
    assert stage.one("SELECT count(*) FROM orders") == 2
