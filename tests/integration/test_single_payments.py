"""The life of single payments under the lock of their case: what each call does, and what its caller sees then (iverksetting §3.8)."""

from collections.abc import Iterator
from itertools import count
from uuid import UUID

import pytest

from kvitt.contracts.utbetalinger.changes import etag_of
from kvitt.contracts.utbetalinger.contract import NAME
from kvitt.contracts.utbetalinger.lookup import look_up
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, Trigger
from kvitt.disbursement.values import PaymentId, Scheme
from kvitt.testing import TestServer
from support.hub_messages import aap
from support.single_payment_stage import ORDERED, CalledStage
from support.single_payments import Body, days, person_of, single, span, supplement

_numbers = count(1)
_PUT_BUSY = (423, "Utbetalingen har et pågående oppdrag, vent til dette er ferdig")
_DELETE_BUSY = (423, "utbetalingen har et pågående oppdrag, vent til dette er ferdig")


@pytest.fixture(scope="module")
def hub(kvitt_server: TestServer) -> Iterator[CalledStage]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    with kvitt_server.database() as conninfo:
        stage = CalledStage(conninfo)
        yield stage
        differences = stage.differences()
        stage.close()
        assert differences == []


@pytest.fixture
def uid() -> str:
    """A payment of its own."""
    return str(UUID(int=0x4444 << 64 | 0x8 << 60 | next(_numbers)))


def fortnight(uid: str) -> Body:
    """A payment of twelve days, in a case of its own."""
    return supplement(*days(1, 12), sakId=f"TS-{uid[-6:]}", personident=person_of(uid))


def week(uid: str) -> Body:
    """Its first five days."""
    return supplement(*days(1, 5), sakId=f"TS-{uid[-6:]}", personident=person_of(uid))


def test_a_payment_is_made_changed_and_ceased(hub: CalledStage, uid: str) -> None:
    assert (hub.status(uid), hub.shown(uid)) == (None, None)
    assert hub.done("post", fortnight(uid), uid) == ORDERED
    assert (hub.status(uid), hub.shown(uid)) == ("IKKE_PÅBEGYNT", [("2026-06-01", "2026-06-12", 640)])
    hub.put()
    assert hub.status(uid) == "SENDT_TIL_OPPDRAG"
    hub.settle(hub.rail())
    assert hub.status(uid) == "OK"
    assert hub.done("put", week(uid), uid) == ORDERED
    assert (hub.status(uid), hub.shown(uid)) == ("IKKE_PÅBEGYNT", [("2026-06-01", "2026-06-05", 640)])
    hub.finish()
    assert hub.done("delete", week(uid), uid) == ORDERED
    assert (hub.status(uid), hub.shown(uid)) == ("IKKE_PÅBEGYNT", None)
    hub.finish()
    assert (hub.status(uid), hub.shown(uid)) == ("OK", None)


def test_while_its_order_is_open_nothing_of_it_changes(hub: CalledStage, uid: str) -> None:
    assert hub.done("post", fortnight(uid), uid) == ORDERED
    assert hub.done("post", fortnight(uid), uid) == ("refused", 409, f"Utbetaling med uid {uid} finnes allerede")
    assert hub.done("put", week(uid), uid) == ("refused", *_PUT_BUSY)
    assert hub.done("delete", fortnight(uid), uid) == ("refused", *_DELETE_BUSY)
    other = str(UUID(int=UUID(uid).int + (1 << 80)))
    assert hub.done("post", week(uid), other) == ("refused", 423, "Saken har et pågående oppdrag, vent til dette er ferdig")
    assert hub.done("put", week(uid), other)[:2] == ("refused", 404)
    hub.finish()
    assert hub.done("post", fortnight(uid), uid)[:2] == ("refused", 409)
    assert hub.done("put", fortnight(uid), uid) == ("refused", 409, "Ingen reell endring")


def test_of_two_calls_at_once_one_is_done(hub: CalledStage, uid: str) -> None:
    both = hub.act(hub.call("post", fortnight(uid), uid), hub.call("post", week(uid), uid))
    assert both == [ORDERED, ("refused", 409, f"Utbetaling med uid {uid} finnes allerede")]
    hub.finish()
    both = hub.act(hub.call("put", week(uid), uid), hub.call("delete", fortnight(uid), uid))
    assert both == [ORDERED, ("refused", *_DELETE_BUSY)]
    hub.finish()
    assert hub.shown(uid) == [("2026-06-01", "2026-06-05", 640)]


def test_a_payment_that_the_rail_never_took_is_made_again(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    hub.answered("08")
    assert (hub.status(uid), hub.shown(uid)) == ("FEILET_MOT_OPPDRAG", None)
    refused = hub.done("put", week(uid), uid)
    assert refused == ("refused", 404, f"Fant ikke utbetaling med uid {uid}. Opprett den med POST /utbetalinger/{uid}")
    assert hub.done("delete", week(uid), uid) == ("refused", 404, f"Fant ikke utbetaling med uid {uid}")
    assert hub.done("post", week(uid), uid) == ORDERED
    hub.answered("00")
    assert (hub.status(uid), hub.shown(uid)) == ("OK", [("2026-06-01", "2026-06-05", 640)])


def test_a_rejected_change_leaves_what_was_accepted(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    hub.finish()
    hub.done("put", week(uid), uid)
    hub.answered("12")
    assert (hub.status(uid), hub.shown(uid)) == ("FEILET_MOT_OPPDRAG", [("2026-06-01", "2026-06-12", 640)])
    assert hub.done("put", fortnight(uid), uid) == ("refused", 409, "Ingen reell endring")
    hub.done("delete", fortnight(uid), uid)
    assert hub.shown(uid) is None
    hub.answered("08")
    assert (hub.status(uid), hub.shown(uid)) == ("FEILET_MOT_OPPDRAG", [("2026-06-01", "2026-06-12", 640)])
    assert hub.done("put", week(uid), uid) == ORDERED
    hub.answered("04", "Varsel")
    assert (hub.status(uid), hub.shown(uid)) == ("OK", [("2026-06-01", "2026-06-05", 640)])


def test_a_receipt_that_says_nothing_certain_leaves_its_order_open(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    receipts = hub.exchange()
    hub.settle([type(each)(f"{each.message_id} odd", each.body.replace(b">00<", b">77<")) for each in receipts])
    assert hub.status(uid) == "FEILET_MOT_OPPDRAG"
    assert hub.done("put", week(uid), uid) == ("refused", *_PUT_BUSY)
    hub.settle(receipts)
    assert hub.status(uid) == "OK"


def test_a_payment_that_has_ceased_may_be_made_again(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    hub.finish()
    hub.done("delete", fortnight(uid), uid)
    hub.finish()
    assert hub.done("put", week(uid), uid)[:2] == ("refused", 404)
    assert hub.done("delete", fortnight(uid), uid)[:2] == ("refused", 404)
    assert hub.done("post", {**week(uid), "stønad": "LÆREMIDLER_AAP"}, uid) == ORDERED
    hub.finish()
    assert hub.shown(uid) == [("2026-06-01", "2026-06-05", 640)]
    lines = hub.rows(
        "SELECT l.refers_to, o.is_first_order FROM order_lines AS l JOIN orders AS o USING (order_id) JOIN cases AS c USING (case_no) "
        "WHERE c.case_id = %s AND l.ceased_from IS NULL ORDER BY o.number",
        fortnight(uid)["sakId"],
    )
    assert [refers_to for refers_to, _ in lines] == [None, None]


def test_a_payment_belongs_to_its_case_for_life(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    hub.finish()
    other = {**week(uid), "sakId": f"TS-X{uid[-6:]}"}
    assert hub.done("put", other, uid) == ("refused", 400, "Kan ikke endre 'sakId'")
    assert hub.done("delete", other, uid) == ("refused", 400, "Kan ikke endre 'sakId'")
    assert hub.done("post", other, uid) == ("refused", 409, f"Utbetaling med uid {uid} finnes allerede")
    assert hub.done("put", {**week(uid), "personident": "12345678910"}, uid) == ("refused", 400, "Kan ikke endre 'personident'")
    assert hub.done("put", {**week(uid), "stønad": "LÆREMIDLER_AAP"}, uid) == ("refused", 400, "Kan ikke endre 'stønad'")
    months = supplement(span("2026-06-01", "2026-06-30"), kind="MND", sakId=week(uid)["sakId"], personident=person_of(uid))
    assert hub.done("put", months, uid) == ("refused", 400, "Kan ikke ha forskjellige satstyper")
    assert hub.done("delete", week(uid), uid)[1:] == (400, "Periodene i utbetalingen samsvarer ikke med det som er lagret hos utsjekk.")


def test_ids_are_chosen_in_schemes_that_derive_theirs_elsewhere(hub: CalledStage, uid: str) -> None:
    paid = single(*days(1, 5), stønad="DAGPENGER", sakId=f"DP-{uid[-6:]}", personident=person_of(uid))
    assert hub.done("post", paid, uid) == ORDERED
    assert hub.done("post", {**paid, "sakId": f"DP-X{uid[-6:]}"}, uid)[:2] == ("refused", 409)
    hub.finish()
    assert hub.shown(uid) == [("2026-06-01", "2026-06-05", 640)]
    assert hub.done("put", {**paid, "sakId": f"DP-X{uid[-6:]}"}, uid) == ("refused", 400, "Kan ikke endre 'sakId'")


def test_other_payments_of_the_case_are_left_as_they_are(hub: CalledStage, uid: str) -> None:
    other = str(UUID(int=UUID(uid).int + (1 << 80)))
    hub.done("post", fortnight(uid), uid)
    hub.finish()
    hub.done("post", {**fortnight(uid), "perioder": days(15, 16)}, other)
    hub.finish()
    assert (hub.shown(uid), hub.shown(other)) == ([("2026-06-01", "2026-06-12", 640)], [("2026-06-15", "2026-06-16", 640)])


def test_a_case_of_the_streams_is_not_paid_by_single_payments(hub: CalledStage, uid: str) -> None:
    hub.hand_in(Scheme.AAP, (f"key {uid}", aap("A77")))
    (outcome, status, said) = hub.done("post", single(*days(1, 5), sakId="A77"), uid)
    assert (outcome, status, "helved" in str(said)) == ("refused", 409, True)
    hub.finish()


def test_who_names_the_state_that_is_changed_is_refused_where_it_is_another(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    found = look_up(hub.connection, NAME, PaymentId(uid), [Scheme.TILLEGGSSTONADER])
    assert found is not None
    assert found.shown is not None
    hub.finish()
    assert hub.done("put", week(uid), uid, if_match='"old"')[:2] == ("refused", 412)
    assert hub.done("put", week(uid), uid, if_match=etag_of(found.shown)) == ORDERED
    hub.finish()
    assert hub.done("delete", week(uid), uid, if_match=etag_of(found.shown))[:2] == ("refused", 412)


def test_payments_of_other_schemes_are_not_there(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    hub.finish()
    assert look_up(hub.connection, NAME, PaymentId(uid), [Scheme.AAP]) is None
    (refused,) = hub.act(hub.call("put", week(uid), uid, Scheme.AAP))
    assert refused[:2] == ("refused", 403)


def test_what_can_not_be_read_is_refused_without_a_case(hub: CalledStage, uid: str) -> None:
    assert hub.done("post", supplement(sakId="TS-1"), uid) == ("refused", 400, "Mangler perioder")
    assert hub.done("post", fortnight(uid), "1") == ("refused", 400, "Path param må være UUID")


def correction(uid: str, **avvent: object) -> Body:
    """A hold-back of a payment's case that was registered by mistake."""
    held = {"fom": "2026-06-01", "tom": "2026-06-12", "overføres": "2026-07-01", "årsak": "AVVENT_AVREGNING", "feilregistrering": True}
    plain = {"stønad": "TILSYN_BARN_AAP", "sakId": fortnight(uid)["sakId"], "personident": person_of(uid), "saksbehandlerId": "A100001"}
    return {**plain, "avvent": {**held, **avvent}}


def test_a_hold_back_is_corrected_by_an_order_of_its_own(hub: CalledStage, uid: str) -> None:
    hub.done("post", {**fortnight(uid), "avvent": {"fom": "2026-06-01", "tom": "2026-06-12"}}, uid)
    assert hub.done("avvent", correction(uid), uid) == ("queued", None, None)
    assert hub.status(uid) == "IKKE_PÅBEGYNT"
    hub.finish()
    assert hub.order_states(str(fortnight(uid)["sakId"])) == ["accepted", "accepted"]
    assert (hub.status(uid), hub.shown(uid)) == ("OK", [("2026-06-01", "2026-06-12", 640)])
    xml = hub.bytes(
        "SELECT message FROM orders AS o JOIN cases AS c USING (case_no) WHERE c.case_id = %s ORDER BY number", fortnight(uid)["sakId"]
    )[-1]
    assert CORRECTION in xml.decode()
    assert not any(name in xml for name in (b"avstemming-115", b"oppdrags-enhet-120", b"oppdrags-linje-150"))


CORRECTION = """\
        <avvent-118>
            <datoAvventFom>2026-06-01+02:00</datoAvventFom>
            <datoAvventTom>2026-06-12+02:00</datoAvventTom>
            <kodeArsak>AVAV</kodeArsak>
            <datoOverfores>2026-07-01+02:00</datoOverfores>
            <feilreg>J</feilreg>
        </avvent-118>
    </oppdrag-110>
"""


def test_a_correction_that_the_rail_refuses_leaves_the_payment_as_it_is(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    hub.finish()
    assert hub.done("avvent", correction(uid), uid) == ORDERED
    hub.answered("08")
    assert (hub.status(uid), hub.shown(uid)) == ("OK", [("2026-06-01", "2026-06-12", 640)])
    assert hub.done("avvent", correction(uid), uid) == ORDERED
    hub.finish()


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"avvent": {"fom": "2026-06-01", "tom": "2026-06-02"}}, 400, "feilregistrering må være satt til true"),
        ({"avvent": {"fom": "2026-06-01", "tom": "2026-06-02", "feilregistrering": True}}, 400, "overføres må være satt"),
        ({"personident": "12345678910"}, 400, "Kan ikke endre 'personident'"),
        ({"stønad": "LÆREMIDLER_AAP"}, 400, "Kan ikke endre 'stønad'"),
        ({"saksbehandlerId": ""}, 400, "Feltet saksbehandler må være mellom 1 og 8 tegn"),
        ({"sakId": "TS-other"}, 404, "Fant ikke utbetaling med uid"),
    ],
)
def test_a_correction_is_of_a_payment_that_is_there(hub: CalledStage, uid: str, changed: Body, status: int, words: str) -> None:
    hub.done("post", fortnight(uid), uid)
    hub.finish()
    outcome, said, answer = hub.done("avvent", {**correction(uid), **changed}, uid)
    assert (outcome, said, words in str(answer)) == ("refused", status, True)


def test_corrections_are_not_reconciled(hub: CalledStage, uid: str) -> None:
    hub.done("post", fortnight(uid), uid)
    hub.finish()
    hub.done("avvent", correction(uid), uid)
    hub.finish()
    hub.clock.advance(days=1)
    reconcile = Reconcile(hub.connection, hub.ports, hub.clock)
    range_of_days = reconcile.next_range("TILLSTPB")
    assert range_of_days is not None
    reconcile.make("TILLSTPB", range_of_days, Cause(Trigger.SCHEDULE))
    query = "SELECT DISTINCT o.sum_kroner <> 0 FROM reconciled_orders AS e JOIN orders AS o USING (order_id)"
    assert hub.rows(query) == [(True,)]
    assert b"avvent" in b"".join(hub.bytes("SELECT message FROM orders WHERE sum_kroner = 0"))


def test_where_a_scheme_has_approvers_only_one_of_them_opens_a_case(hub: CalledStage, uid: str) -> None:
    refused = ("refused", 403, "Første vedtak på en sak må sendes av en ansatt med beslutter-rolle")
    assert hub.done("post", fortnight(uid), uid, opens="no") == refused
    assert hub.status(uid) is None
    assert hub.done("post", week(uid), uid) == ORDERED
    hub.finish()
    assert hub.done("put", fortnight(uid), uid, opens="no") == ORDERED
    hub.finish()
    other = str(UUID(int=UUID(uid).int + (1 << 80)))
    assert hub.done("post", supplement(*days(15, 19), sakId=f"TS-{uid[-6:]}", personident=person_of(uid)), other, opens="no") == ORDERED
    hub.finish()


def test_above_the_cap_only_an_approver_pays_anew(hub: CalledStage, uid: str) -> None:
    def of(*spans: Body) -> Body:
        return supplement(*spans, sakId=f"TS-{uid[-6:]}", personident=person_of(uid))

    assert hub.done("post", of(*days(1, 5, 900)), uid, cap_kroner="1000") == ORDERED
    hub.finish()
    refused = ("refused", 403, "Beløp over maksgrensen på 800 kr per dag må sendes av en ansatt med beslutter-rolle")
    assert hub.done("put", of(*days(1, 12, 900)), uid, cap_kroner="800") == refused
    assert hub.done("put", of(*days(1, 5, 900), *days(6, 12, 800)), uid, cap_kroner="800") == ORDERED
    hub.finish()
    assert hub.done("put", of(*days(1, 3, 900)), uid, cap_kroner="800") == ORDERED, "less may be paid by anybody"
    hub.finish()


def test_all_that_a_case_pays_on_a_day_is_held_against_the_cap(hub: CalledStage, uid: str) -> None:
    """Two payments are no way around it; beside one that is ended there is room again."""
    other = str(UUID(int=UUID(uid).int + (1 << 80)))
    half, rest = (supplement(*days(1, 5, kroner), sakId=f"TS-{uid[-6:]}", personident=person_of(uid)) for kroner in (500, 501))
    rest["stønad"] = "LÆREMIDLER_AAP"
    assert hub.done("post", half, uid, cap_kroner="1000") == ORDERED
    hub.finish()
    refused = ("refused", 403, "Beløp over maksgrensen på 1000 kr per dag må sendes av en ansatt med beslutter-rolle")
    assert hub.done("post", rest, other, cap_kroner="1000") == refused
    assert hub.done("delete", half, uid) == ORDERED
    hub.finish()
    assert hub.done("post", rest, other, cap_kroner="1000") == ORDERED
    hub.finish()
