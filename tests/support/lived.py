"""A hub's life in a few steps: what every kind of row in the store has come from."""

from uuid import UUID

from kvitt.disbursement.values import Scheme
from support.case_histories import OTHER_PAYMENT, CaseStage, aap, answered, dp, ts
from support.hub_messages import payment_uid, tp
from support.rapid_messages import PERSON, line, need
from support.rapid_stage import other_case, rapid_on
from support.state_records import case_list, period, run, utbetaling
from support.state_records import payment as payment_record

HISTORY = [("2026-06-01", "2026-06-12", 500)], [("2026-06-01", "2026-06-12", 500), ("2026-06-15", "2026-06-26", 700)], []


def live(conninfo: str) -> None:
    """A hub's life: cases that grow and cease, one that is rejected, one that was taken over, one that is still open."""
    with rapid_on(conninfo) as stage:
        uid = payment_uid("OLD")
        run(stage, payment_record(utbetaling("OLD", uid, period(1, 5), period(8, 12, 600))), case_list("OLD", uid))
        stage.hand_in(Scheme.TILTAKSPENGER, ("TP", tp("TP1")))
        lines = [line(grad=100), line(delytelseId=2, fom="2024-03-25", tom="2024-03-29")]
        stage.ask(need(), other_case(1, fagområde="SP", mottaker=PERSON, linjer=lines))
        stage.finish()
    hub = CaseStage(conninfo)
    for spans in HISTORY:
        hub.take(Scheme.AAP, aap("A1", spans))
        hub.accept()
    hub.take(Scheme.TILLEGGSSTONADER, ts("T1", ("TILSYN_BARN_AAP", "LÆREMIDLER_AAP")))
    hub.accept()
    hub.take(Scheme.AAP, aap("A2", HISTORY[0], payment=OTHER_PAYMENT))
    hub.answer(*(answered(xml, "08", "nei") for xml in hub.send()))
    hub.take(Scheme.AAP, aap("A3", HISTORY[0], payment=UUID(int=3, version=4), also=[UUID(int=each, version=4) for each in range(4, 8)]))
    hub.take(Scheme.DAGPENGER, dp("D1", [500] * 28))
    hub.close()
