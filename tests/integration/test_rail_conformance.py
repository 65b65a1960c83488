"""What every rail promises, tried on the state rail and on a toy: the same promises, the same tests (docs/rail-port.md)."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from msgspec.structs import replace

from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.rail import ReceiptOutcome, Severity
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.values import Area, Order, Scheme
from kvitt.kernel.database import connect
from kvitt.ops.alarms import ReceiptDeadline, raise_and_clear
from kvitt.transports.queue.table_queue import TableQueue
from support.hub_messages import dp, text
from support.patience import until
from support.rail_kits import OppdragKit, ToyKit
from support.rail_site import REQUESTS, TWO, Awake, Site, until_idle
from support.tried import tried
from support.wire_values import orders


@pytest.fixture(params=[OppdragKit, ToyKit], ids=["oppdrag", "toy"])
def site(request: pytest.FixtureRequest, database: str) -> Iterator[Site]:
    made = Site(database, request.param(database, REQUESTS))
    try:
        yield made
        made.assert_clean()
    finally:
        made.close()


@tried(50)
@given(orders)
@pytest.mark.parametrize("rail", ["oppdrag", "toy"])
def test_an_order_is_encoded_by_what_it_says_and_by_nothing_else(rail: str, order: Order) -> None:
    encoding = ToyKit.rails().named(rail)
    encoded = encoding.encode(order)
    assert encoding.encode(order) == encoded
    assert encoded.rail == rail
    later = encoding.encode(replace(order, made_at=order.made_at + timedelta(seconds=1)))
    assert (later.correlation_key, later.correlation_time != encoded.correlation_time) == (encoded.correlation_key, True)


def test_every_order_is_found_by_its_answer(site: Site) -> None:
    site.ask("A", "B", "C")
    site.send()
    assert site.states() == ["sent"] * 3
    site.receive()
    assert site.states() == ["accepted"] * 3
    assert [site.said(case) for case in "ABC"] == [["MOTTATT", "HOS_OPPDRAG", "OK"]] * 3


def test_a_rejection_is_reported_in_the_rails_words_and_nothing_of_it_holds(site: Site) -> None:
    site.ask("A")
    site.send()
    (answer,) = site.answers()
    site.settle([RawReceipt("no", site.kit.with_severity(answer.body, site.kit.rejected, "Kontoen er stengt"))])
    assert (site.states(), site.said("A")[-1]) == (["rejected"], "FEILET")
    row = site.connection.execute("SELECT severity, note FROM receipts").fetchone()
    assert row == (site.kit.rejected, "Kontoen er stengt")
    assert site.connection.execute("SELECT DISTINCT state FROM payments").fetchall() == [("dropped",)]


def test_a_damaged_answer_is_kept_as_unreadable_and_the_true_one_counts(site: Site) -> None:
    site.ask("A")
    site.send()
    (answer,) = site.answers()
    assert site.settle([RawReceipt("damaged", site.kit.damaged)]) == [ReceiptOutcome.UNREADABLE]
    assert site.connection.execute("SELECT body, outcome FROM receipts").fetchall() == [(site.kit.damaged, "unreadable")]
    assert site.states() == ["sent"]
    assert site.settle([answer]) == [ReceiptOutcome.ACCEPTED]


@pytest.mark.parametrize("said", [ValueError("its own mistake"), ()], ids=["fails", "says nothing"])
def test_an_answer_on_which_its_rail_fails_or_that_says_nothing_is_kept_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, site: Site, said: Exception | tuple[()]
) -> None:
    site.ask("A")
    site.send()
    (answer,) = site.answers()
    reads = site.kit.rail.read

    def read(body: bytes) -> object:
        if body != b"odd":
            return reads(body)
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(type(site.kit.rail), "read", lambda _, body: read(body))
    assert site.settle([RawReceipt("odd", b"odd"), answer]) == [ReceiptOutcome.UNREADABLE, ReceiptOutcome.ACCEPTED]
    assert site.connection.execute("SELECT body FROM receipts WHERE outcome = 'unreadable'").fetchall() == [(b"odd",)]
    site.assert_clean()


def test_an_answer_that_comes_twice_changes_nothing_the_second_time(site: Site) -> None:
    site.ask("A")
    site.send()
    (answer,) = site.answers()
    assert site.settle([answer, answer]) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.REPEAT]
    assert site.settle([answer, RawReceipt("another message", answer.body)]) == [ReceiptOutcome.REPEAT] * 2
    assert site.said("A") == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_one_answer_may_speak_of_many_orders(site: Site) -> None:
    site.ask("A", "B", "C", "D")
    site.send()
    answers = site.answers()
    answers[1] = replace(answers[1], body=site.kit.with_severity(answers[1].body, site.kit.rejected, "Nei"))
    together = [RawReceipt(f"together {place}", body) for place, body in enumerate(site.kit.together([each.body for each in answers]))]
    accepted, rejected = ReceiptOutcome.ACCEPTED, ReceiptOutcome.REJECTED
    assert site.settle(together) == [accepted, rejected, accepted, accepted]
    assert site.states() == ["accepted", "rejected", "accepted", "accepted"]
    assert site.settle(together) == [ReceiptOutcome.REPEAT] * 4
    assert_bytes_once(site, 4, together)


def assert_bytes_once(site: Site, said: int, answers: Sequence[RawReceipt]) -> None:
    stored = site.connection.execute("SELECT count(*), count(DISTINCT message_id), sum(octet_length(body)) FROM receipts").fetchone()
    assert stored == (said, len(answers), sum(len(each.body) for each in answers)), "the bytes of an answer stand once"
    read = site.connection.execute("SELECT r.message_id, a.body FROM receipts AS r JOIN receipt_answers AS a USING (receipt_no)").fetchall()
    assert set(read) == {(each.message_id, each.body) for each in answers}


def test_the_bytes_of_an_answer_stand_once_though_its_parts_are_stored_one_by_one(site: Site) -> None:
    site.ask("A", "B", "C")
    site.send()
    bodies = site.kit.together([each.body for each in site.answers()])
    answers = [RawReceipt("met", b"?"), *(RawReceipt(f"together {place}", body) for place, body in enumerate(bodies))]
    with ThreadPoolExecutor(1) as pool:
        with connect(site.conninfo) as other, other.transaction():
            other.execute(
                "INSERT INTO receipts (rail, message_id, digest, body, received_at, outcome)"
                " VALUES (%s, 'met', sha256('?'), '?', now(), 'unreadable')",
                (site.kit.rail.name,),
            )
            settled = pool.submit(site.settle, answers)
            until(lambda: other.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)").fetchone() == (True,))
        assert settled.result() == [ReceiptOutcome.REPEAT, *[ReceiptOutcome.ACCEPTED] * 3]
    site.connection.execute("DELETE FROM receipts WHERE message_id = 'met'")
    assert_bytes_once(site, 3, answers[1:])


def test_a_case_that_is_locked_gets_its_part_of_an_answer_when_it_is_free(site: Site) -> None:
    from kvitt.disbursement.resume import Resume

    site.ask("A", "B")
    site.send()
    answers = site.answers()
    together = [RawReceipt(f"together {place}", body) for place, body in enumerate(site.kit.together([each.body for each in answers]))]
    with connect(site.conninfo) as stranger, stranger.transaction():
        stranger.execute("SELECT FROM cases WHERE case_id = 'B' FOR UPDATE")
        site.connection.execute("SET lock_timeout = '200ms'")
        assert site.settle(together) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.DEFERRED]
        assert site.states() == ["accepted", "sent"]
    resume = Resume(site.conninfo, site.clock, site.kit.ports, lambda: None, Awake())  # type: ignore[arg-type]
    with resume.steps() as step:
        until_idle(step)
    assert site.states() == ["accepted", "accepted"]
    assert_bytes_once(site, 2, together)


def test_an_order_whose_answer_never_came_is_sent_once_more_and_paid_once(site: Site) -> None:
    site.ask("A")
    site.send()
    (late,) = site.answers()
    (order_id,) = [str(each) for (each,) in site.connection.execute("SELECT order_id::text FROM orders")]
    site.operate.resend(order_id, TWO)
    assert site.states() == ["ready"]
    site.send()
    site.receive()
    assert site.states()[0] in ("accepted", "unknown"), "a refused copy proves at most that there was a first one"
    site.settle([late])
    assert site.states() == ["accepted"]
    assert site.said("A") == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_what_a_sender_left_half_sent_is_asked_for_and_put_again_as_it_was(site: Site) -> None:
    class Lost(ConnectionError):
        pass

    class Losing(TableQueue):
        def put(self, messages: object) -> None:  # noqa: ARG002 - they are lost
            raise Lost

    site.ask("A", "B")
    with pytest.raises(Lost):
        site.send(Losing)
    assert site.states() == ["sending"] * 2
    before = site.connection.execute("SELECT order_id, file_id, message FROM orders ORDER BY 1").fetchall()
    site.send()
    assert site.connection.execute("SELECT order_id, file_id, message FROM orders ORDER BY 1").fetchall() == before
    site.receive()
    assert site.states() == ["accepted"] * 2
    assert [site.said(case) for case in "AB"] == [["MOTTATT", "HOS_OPPDRAG", "OK"]] * 2


def test_what_came_to_the_queue_is_not_put_again(site: Site) -> None:
    class Dying(ConnectionError):
        pass

    class Put(TableQueue):
        def put(self, messages: object) -> None:
            super().put(messages)  # type: ignore[arg-type]
            raise Dying

    site.ask("A", "B")
    with pytest.raises(Dying):
        site.send(Put)
    site.send()
    assert site.states() == ["sent"] * 2
    depth = site.connection.execute("SELECT count(*) FROM queue.message WHERE queue = %s", (REQUESTS,)).fetchone()
    site.receive()
    assert (depth, site.states()) == ((len(site.kit.together([b"", b""])),), ["accepted"] * 2)


def test_a_severity_that_nobody_has_heard_of_leaves_the_order_unknown_and_waits_for_a_person(site: Site) -> None:
    site.ask("A")
    site.send()
    (answer,) = site.answers()
    odd = site.kit.with_severity(answer.body, site.kit.unknown, "Hva")
    (observation,) = site.kit.rail.read(odd)
    assert (observation.severity, observation.raw_severity) == (Severity.UNKNOWN, site.kit.unknown)
    assert site.settle([RawReceipt("odd", odd)]) == [ReceiptOutcome.UNCLEAR]
    assert (site.states(), site.said("A")[-1]) == (["unknown"], "FEILET")
    assert [each.outcome for each in site.operate.odd_receipts()] == ["unclear"]
    assert site.settle([answer]) == [ReceiptOutcome.ACCEPTED]
    assert site.said("A")[-1] == "OK"


def test_what_stands_is_contradicted_by_another_word_and_two_people_decide(site: Site) -> None:
    from kvitt.disbursement.resolve import Resolve

    site.ask("A")
    site.send()
    (answer,) = site.answers()
    site.settle([answer])
    other = RawReceipt("other", site.kit.with_severity(answer.body, site.kit.rejected, "Likevel ikke"))
    assert site.settle([other]) == [ReceiptOutcome.CONTRADICTS]
    (order_id,) = [str(each) for (each,) in site.connection.execute("SELECT order_id::text FROM orders")]
    Resolve(site.connection, site.clock, site.kit.ports).adopt(order_id, TWO)
    assert (site.states(), site.said("A")[-1]) == (["rejected"], "FEILET")


@pytest.mark.parametrize("accepted", [True, False])
def test_an_operators_word_has_the_form_of_an_answer(site: Site, *, accepted: bool) -> None:
    site.ask("A")
    site.send()
    (order_id,) = [str(each) for (each,) in site.connection.execute("SELECT order_id::text FROM orders")]
    site.operate.decide(order_id, accepted=accepted, operator=TWO)
    assert site.states() == ["accepted" if accepted else "rejected"]


def test_an_acknowledged_order_says_what_the_rail_said(site: Site) -> None:
    site.ask("A")
    site.send()
    (answer,) = site.answers()
    (message,) = [bytes(each) for (each,) in site.connection.execute("SELECT message FROM orders")]
    for severity, words in ((site.kit.accepted, ""), (site.kit.rejected, "Kontoen er stengt"), (site.kit.unknown, "Hva")):
        (said,) = site.kit.rail.read(site.kit.with_severity(answer.body, severity, words))
        shown = site.kit.rail.with_acknowledgement(message, said)
        (again,) = site.kit.rail.read(shown)
        assert (again.severity, again.raw_severity, again.text) == (said.severity, said.raw_severity, said.text)
    site.settle([answer])


def test_each_rail_sends_its_own_orders_and_is_stopped_alone(site: Site) -> None:
    from kvitt.disbursement.inbox import Incoming

    site.ask("A")
    site.submit([Incoming(helved_topics.primary_input(Scheme.DAGPENGER), 0, 1, b"key D", text(dp("D")), b"[]")])
    rails = dict(site.connection.execute("SELECT c.case_id, o.rail FROM orders AS o JOIN cases AS c USING (case_no)").fetchall())
    assert rails == {"A": site.kit.rail.name, "D": "oppdrag"}
    site.operate.stop(["*"], TWO, site.kit.rail.name)
    site.send()
    assert "sent" not in site.states()
    assert [(each.rail, each.area) for each in site.operate.stopped()] == [(site.kit.rail.name, "*")]
    site.operate.resume(["*"], TWO, site.kit.rail.name)
    site.operate.stop([Area("DP")], TWO)
    site.send()
    assert site.states() == ["sent", "ready"]
    site.receive()


def test_a_late_answer_is_an_alarm_once_the_rail_has_been_open_long_enough(site: Site) -> None:
    site.ask("A")
    site.send()
    deadline = ReceiptDeadline({site.kit.rail.name: site.kit.rail.schedule}, timedelta(minutes=60))
    sent_at = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
    assert raise_and_clear(site.connection, sent_at + timedelta(minutes=30), deadline) == ([], [])
    raised, _ = raise_and_clear(site.connection, sent_at + timedelta(minutes=90), deadline)
    assert len(raised) == 1
    other = ReceiptDeadline({"another rail": site.kit.rail.schedule}, timedelta(minutes=60))
    assert raise_and_clear(site.connection, sent_at + timedelta(minutes=95), other) == ([], [])
    site.receive()
    _, cleared = raise_and_clear(site.connection, sent_at + timedelta(minutes=99), deadline)
    assert len(cleared) == 1


MOMENTS = (datetime(2026, 7, 1, 3, 0, tzinfo=UTC), datetime(2026, 7, 1, 12, 0, tzinfo=UTC), datetime(2026, 7, 5, 12, 0, tzinfo=UTC))


@pytest.mark.parametrize("rail", ["oppdrag", "toy"])
@pytest.mark.parametrize("now", MOMENTS)
def test_open_time_is_never_longer_than_time(rail: str, now: datetime) -> None:
    schedule = ToyKit.rails().named(rail).schedule
    amount = timedelta(hours=2)
    since = schedule.open_time_ago(now, amount)
    assert since <= now - amount
    assert schedule.is_open(since) or not schedule.is_open(now - amount)


def test_what_comes_after_acceptance_is_kept_and_changes_no_order(database: str) -> None:
    made = Site(database, ToyKit(database, REQUESTS))
    made.ask("A", "B")
    made.send()
    first, second = made.answers()
    paid = [RawReceipt("paid", made.kit.with_severity(first.body, "PAID", "to the account"))]
    assert made.settle([first]) == [ReceiptOutcome.ACCEPTED]
    assert made.settle(paid) == [ReceiptOutcome.SETTLED]
    assert made.settle(paid) == [ReceiptOutcome.REPEAT]
    overtaken = RawReceipt("paid at once", made.kit.with_severity(second.body, "PAID", ""))
    assert made.settle([overtaken]) == [ReceiptOutcome.ACCEPTED], "money that has arrived was accepted"
    assert made.settle([second]) == [ReceiptOutcome.REPEAT]
    assert (made.states(), made.outcomes()) == (["accepted"] * 2, ["accepted", "settled", "accepted", "repeat"])
    assert [made.said(case)[-1] for case in "AB"] == ["OK", "OK"]
    made.assert_clean()
    made.close()
