"""What another hub has left in the state topics, written as it writes it (helved §1.2, §2.7), and what the rail knows of it."""

import json
from collections.abc import Sequence
from dataclasses import replace

from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.importing import Importing, ImportReport
from kvitt.disbursement.values import LineId
from kvitt.formats.topics import StateRecord
from kvitt.kernel.operators import Operator
from kvitt.kernel.queue import Outgoing
from kvitt.rails.oppdrag.order_xml import encode_line_id
from support.emulator_orders import Line, order_xml
from support.hub_messages import Json, person_of
from support.hub_stage import REPLIES, Stage

OPERATOR = Operator("kari", "kvitt takes over", "ola")
LINE = "850a4857-fa4e-4d0d-934a-240f7c76c8a4"

CONTRACT = """{"dryrun":false,"originalKey":"0197","fagsystem":"DAGPENGER","uid":"26c8ad95-1731-e800-abd5-ba92ec6aad86","action":"CREATE",
 "førsteUtbetalingPåSak":true,"sakId":"rsid3","behandlingId":"AZ222","lastPeriodeId":"850a4857-fa4e-4d0d-934a-240f7c76c8a4",
 "sistePeriode":{"fom":"2025-08-01","tom":"2025-08-14","beløp":553,"betalendeEnhet":null,"vedtakssats":1077},"personident":"01020312345",
 "vedtakstidspunkt":"2025-07-04T09:15:30","stønad":"DAGPENGER","beslutterId":"dagpenger","saksbehandlerId":"dagpenger",
 "periodetype":"UKEDAG","avvent":null,
 "perioder":[{"fom":"2025-08-01","tom":"2025-08-14","beløp":553,"betalendeEnhet":null,"vedtakssats":1077}]}"""
"""The payment of the contract, to the letter (helved §2.7); its id is a checked vector (helved §2.3)."""


def period(first: int, last: int, amount: int = 500) -> Json:
    """Days of June 2026, whose first is a Monday."""
    return {"fom": f"2026-06-{first:02}", "tom": f"2026-06-{last:02}", "beløp": amount, "betalendeEnhet": None, "vedtakssats": 1000}


def utbetaling(case: str, uid: str, *periods: Json, **changes: object) -> Json:
    """A payment as another hub has written it, of AAP unless changed."""
    head: Json = {"dryrun": False, "originalKey": "old", "fagsystem": "AAP", "uid": uid, "action": "CREATE", "førsteUtbetalingPåSak": True}
    ids: Json = {"sakId": case, "behandlingId": "OLD-1", "lastPeriodeId": LINE, "sistePeriode": None, "personident": person_of(case)}
    terms: Json = {"vedtakstidspunkt": "2026-05-30T09:15:30", "stønad": "AAP_UNDER_ARBEIDSAVKLARING", "beslutterId": "kelvin"}
    return {**head, **ids, **terms, "saksbehandlerId": "kelvin", "periodetype": "UKEDAG", "avvent": None, "perioder": [*periods], **changes}


def payment(document: Json, *, partition: int = 0, key: str | None = None) -> StateRecord:
    """The record of a payment."""
    value = json.dumps(document, ensure_ascii=False).encode()
    return StateRecord(helved_topics.PAYMENTS, partition, (key or str(document["uid"])).encode(), value)


def case_list(case: str, *uids: str, scheme: str = "AAP") -> StateRecord:
    """The record of a case list."""
    return StateRecord(helved_topics.CASES, 0, json.dumps({"sakId": case, "fagsystem": scheme}).encode(), json.dumps(uids).encode())


def run(stage: Stage, *records: StateRecord, dry_run: bool = False, leave_out: bool = False) -> ImportReport:
    """Imports the records into the stage's hub."""
    return Importing(stage.connection, stage.clock).run([list(records)], OPERATOR, dry_run=dry_run, leave_out=leave_out)


def sent_before(stage: Stage, case: str, *orders: Sequence[Line], area: str = "AAP") -> None:
    """Lets the rail take what another hub has sent of a case: its first order, then changes of it. Raises unless it takes all of it."""
    documents = [
        order_xml(*map(_named, lines), case=case, area=area, person=person_of(case), change="ENDR" if number else "NY")
        for number, lines in enumerate(orders)
    ]
    stage.requests.put([Outgoing(f"{case} {area} {number}", xml, REPLIES) for number, xml in enumerate(documents)])
    answers = stage.rail()
    taken = [answer for answer in answers if b"<alvorlighetsgrad>00<" in answer.body]
    assert len(taken) == len(orders), [answer.body for answer in answers]


def _named(line: Line) -> Line:
    """The line under the names that its ids have on the wire."""
    ref = encode_line_id(LineId(line.ref)) if line.ref else ""
    return replace(line, line_id=encode_line_id(LineId(line.line_id)), ref=ref)
