"""The history of a case promises: everything that happened, in order of time, and what is accepted, pending and waiting."""

from collections.abc import Iterator
from datetime import date

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.answers import Status
from kvitt.disbursement.case_facts import PaymentOfCase
from kvitt.disbursement.history import Happening, history
from kvitt.disbursement.schedule import expand
from kvitt.disbursement.values import Scheme
from kvitt.errors import CaseNotFound
from support.case_histories import AAP_PAYMENT, CaseStage, aap, answered, dp, ts

JUNE = [("2026-06-04", "2026-06-09", 500)]
LONGER = [*JUNE, ("2026-06-15", "2026-06-15", 700)]


def days_of(payment: PaymentOfCase) -> list[tuple[date, int]]:
    """What is paid day by day."""
    return [(due.day, due.amount) for due in expand(payment.owed).days]


@pytest.fixture
def hub(database: str) -> Iterator[CaseStage]:
    hub = CaseStage(database)
    yield hub
    hub.close()


def test_an_unknown_case_is_not_found(database: str) -> None:
    with pytest.raises(CaseNotFound) as error:
        history(database, PORTS, Scheme.AAP, "A1")
    assert error.value.status == 404


def test_a_case_of_another_scheme_with_the_same_id_is_another_case(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    with pytest.raises(CaseNotFound):
        history(database, PORTS, Scheme.DAGPENGER, "A1")


def test_an_order_on_its_way_is_pending_and_the_next_message_waits(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE), aap("A1", LONGER))
    case = history(database, PORTS, Scheme.AAP, "A1")
    assert (case.open_orders, case.orders_made, case.person, case.areas) == (1, 1, None, ())
    assert case.accepted == ()
    assert [(each.payment_id, each.version) for each in case.pending] == [(str(AAP_PAYMENT), 1)]
    assert [each.message_no for each in case.queued] == [2]
    assert [each.state for each in case.orders] == ["ready"]
    assert [line.amount for line in case.orders[0].lines] == [500]


def test_what_is_accepted_is_shown_day_by_day_on_weekdays_only(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE), aap("A1", LONGER))
    hub.accept()
    case = history(database, PORTS, Scheme.AAP, "A1")
    (paid,) = case.accepted
    assert (case.pending, case.queued, case.areas, case.open_orders) == ((), (), ("AAP",), 0)
    assert (paid.version, paid.order_id) == (2, case.orders[1].order_id)
    assert [(each.start, each.end) for each in paid.periods] == [
        (date(2026, 6, 4), date(2026, 6, 9)),
        (date(2026, 6, 15), date(2026, 6, 15)),
    ]
    expected = [(4, 500), (5, 500), (8, 500), (9, 500), (15, 700)]
    assert days_of(paid) == [(date(2026, 6, day), amount) for day, amount in expected]


def test_a_ceased_payment_is_listed_and_pays_nothing(hub: CaseStage, database: str) -> None:
    for spans in (JUNE, []):
        hub.take(Scheme.AAP, aap("A1", spans))
        hub.accept()
    (ceased,) = history(database, PORTS, Scheme.AAP, "A1").accepted
    assert (ceased.version, days_of(ceased)) == (2, [])


def test_events_follow_each_other_as_they_happened(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.DAGPENGER, dp("D1", [500] * 5))
    (xml,) = hub.send()
    hub.answer(answered(xml, "04", "Merknad"))
    case = history(database, PORTS, Scheme.DAGPENGER, "D1")
    assert [each.at for each in case.events] == sorted(each.at for each in case.events)
    assert [each.what for each in case.events] == [
        Happening.RECEIVED,
        Happening.NOTED,
        Happening.ORDERED,
        Happening.PUBLISHED,
        Happening.SENDING,
        Happening.SENT,
        Happening.PUBLISHED,
        Happening.ACKNOWLEDGED,
        Happening.NOTED,
        Happening.PUBLISHED,
    ]
    assert [each.answer.status for each in case.published] == [Status.RECEIVED, Status.WITH_RAIL, Status.OK]
    assert [(each.severity, each.outcome, each.note) for each in case.receipts] == [("04", "accepted", "Merknad")]
    assert case.messages[0].answer == case.published[-1].answer
    assert case.orders[0].message == xml


def test_every_area_of_a_message_has_its_order(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.TILLEGGSSTONADER, ts("T1", ("TILSYN_BARN_AAP", "LÆREMIDLER_AAP")))
    hub.accept()
    case = history(database, PORTS, Scheme.TILLEGGSSTONADER, "T1")
    assert [each.area for each in case.orders] == ["TILLSTPB", "TILLSTLM"]
    assert [days_of(each) for each in case.accepted] == [[(date(2026, 6, 1), 1000)]] * 2


def test_texts_of_events_hold_no_personal_data(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.accept()
    texts = " ".join(each.text for each in history(database, PORTS, Scheme.AAP, "A1").events)
    assert "01020312345" not in texts
    assert "500" not in texts


def test_a_dry_run_whose_simulation_was_asked_for_is_an_event(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE, dryrun=True))
    events = history(database, PORTS, Scheme.AAP, "A1").events
    assert [each.what for each in events] == [Happening.RECEIVED, Happening.NOTED, Happening.SIMULATED]
    assert (events[-1].text, events[-1].message_no) == ("simulation of message 1 asked for", 1)
