"""Events about how an order fares, for the rapid: made, transferred, acknowledged, and the receipt itself (rapid §2.4–§2.6, §3.3).

Each is built whole from stored facts, so that the same facts give the same bytes. Times are Oslo local times without zone.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

import msgspec

from kvitt.contracts.rapid.needs import Need, NeedLine, total
from kvitt.contracts.rapid.wire.packet import (
    Participant,
    Trace,
    default_text,
    trace_fields,
)
from kvitt.contracts.rapid.wire.solutions import SolutionStatus, code_of, of_receipt
from kvitt.disbursement.events import ReconciliationGood
from kvitt.disbursement.rail import Observation
from kvitt.formats.times import mapper_text

ORDER_EVENT: Final = "oppdrag_utbetaling"
STATUS_EVENT: Final = "transaksjon_status"
RECEIPT_EVENT: Final = "oppdrag_kvittering"
RECONCILED_EVENT: Final = "avstemming"
_TRANSFERRED: Final = "Meldingen er videresendt på MQ til Oppdrag"

Leaf = str | int | date | None
_encoder = msgspec.json.Encoder()
_START: Final = re.compile(r"<oppdrag", re.IGNORECASE)
_END: Final = re.compile(r"</oppdrag\s*>", re.IGNORECASE)
_EMPTY_ORDER: Final = re.compile(r"<oppdrag-110></oppdrag-110>", re.IGNORECASE)
_PREFIXED_START: Final = re.compile(r"<([A-Za-z_][\w.-]{0,40}):oppdrag(?=[\s/>])", re.IGNORECASE)


def payment_order(need: Need, key: int, event_id: str, at: datetime, cause: Trace) -> bytes:
    """`oppdrag_utbetaling`: the neutral order, as soon as it is made; `cause` is the need. Source: rapid §2.4."""
    head = {"@event_name": ORDER_EVENT, **_order(need, key, at), "@id": event_id, "@opprettet": mapper_text(at)}
    return _encoder.encode({**head, **_unread(event_id, at), "@forårsaket_av": trace_fields(cause)})


def transferred(need: Need, key: int, xml: bytes, *, event_id: str, at: datetime, made_at: datetime, made_event_id: str) -> bytes:
    """The `oppdrag_utbetaling` of `made_at` once more, with the proof that it is on the queue (rapid §2.9).

    It is caused by the first one, read once since, and has an id of its own.
    """
    made = Trace(made_event_id, mapper_text(made_at), ORDER_EVENT)
    head = {"@event_name": ORDER_EVENT, **_order(need, key, made_at), "@id": event_id, "@opprettet": default_text(at)}
    readers = [
        Participant(made_event_id, default_text(made_at)),
        Participant(made_event_id, default_text(at)),
        Participant(event_id, default_text(at)),
    ]
    read = {"system_read_count": 1, "system_participating_services": readers, "@forårsaket_av": trace_fields(made)}
    proof = {"status": SolutionStatus.TRANSFERRED, "beskrivelse": _TRANSFERRED, "xmlmelding": xml.decode()}
    return _encoder.encode({**head, **read, "kvittering": proof})


def transaction_status(need: Need, key: int, receipt: Observation, *, original: str, event_id: str, at: datetime) -> bytes:
    """`transaksjon_status`: what the rail said of our order; `original` is the normalised receipt. Source: rapid §3.3 step 6.

    Who and what is meant is taken from what we have stored, never from the echo.
    """
    solution = of_receipt(receipt, key, at)
    said = {
        "@event_name": STATUS_EVENT,
        "@id": event_id,
        "@opprettet": mapper_text(at),
        "fødselsnummer": need.person,
        "utbetalingId": need.payment_id,
        "avstemmingsnøkkel": key,
        "fagsystemId": need.case_id,
        "status": solution.status,
        "feilkode_oppdrag": code_of(receipt),
        "beskrivelse": solution.text,
        "originalXml": original,
    }
    words = {"kodemelding": receipt.code, "beskrivendemelding": receipt.text}
    return _encoder.encode({**said, **{name: text for name, text in words.items() if text}, **_unread(event_id, at)})


def raw_receipt(original: str, event_id: str, at: datetime) -> bytes:
    """`oppdrag_kvittering`: a copy of every receipt, normalised, whatever becomes of it. Source: rapid §3.3 step 2."""
    head = {"@event_name": RECEIPT_EVENT, "originalXml": original, "@id": event_id, "@opprettet": mapper_text(at)}
    return _encoder.encode({**head, **_unread(event_id, at)})


def reconciled(event: ReconciliationGood, at: datetime, cause: Trace | None) -> bytes:
    """`avstemming`: the orders of an area up to a day were reported to the rail; `cause` asked for it. Source: rapid §4.4."""
    head = {
        "@event_name": RECONCILED_EVENT,
        "@id": event.run_id,
        "@opprettet": mapper_text(at),
        "dagen": event.last_day,
        "fagområde": event.area,
        "antall_oppdrag": event.orders,
        "detaljer": {
            "nøkkel_fom": int(event.first_key),
            "nøkkel_tom": int(event.last_key),
            "antall_oppdrag": event.orders,
            "antall_avstemmingsmeldinger": event.messages,
        },
    }
    caused = {"@forårsaket_av": trace_fields(cause)} if cause else {}
    return _encoder.encode({**head, **_unread(event.run_id, at), **caused})


def _unread(event_id: str, at: datetime) -> Mapping[str, object]:
    return {"system_read_count": 0, "system_participating_services": [Participant(event_id, default_text(at))]}


def _order(need: Need, key: int, made_at: datetime) -> Mapping[str, object]:
    members = {
        "fødselsnummer": need.person,
        "organisasjonsnummer": need.organisation,
        "saksbehandler": need.caseworker,
        "opprettet": mapper_text(made_at),
        "avstemmingsnøkkel": key,
        "mottaker": need.recipient,
        "fagsystemId": need.case_id,
        "utbetalingId": need.payment_id,
        "fagområde": need.area,
        "endringskode": need.change,
        "totalbeløp": total(need),
        "linjer": [_line(line) for line in need.lines],
    }
    return members | ({"maksdato": need.last_day} if need.last_day else {})


def _line(line: NeedLine) -> Mapping[str, Leaf]:
    """Returns a line; what is not known is left out, never null (rapid §2.4)."""
    always: dict[str, Leaf] = {
        "fom": line.start,
        "tom": line.end,
        "endringskode": line.change,
        "sats": line.amount,
        "delytelseId": line.line_id,
        "satstype": line.rate,
        "klassekode": line.class_code,
    }
    known: dict[str, Leaf] = {
        "grad": line.grade,
        "statuskode": "OPPH" if line.ceased else None,
        "datoKlassifikFom": line.class_from,
        "datoStatusFom": line.ceased_from,
        "refDelytelseId": line.ref_line,
        "refFagsystemId": line.ref_case,
    }
    return always | {name: value for name, value in known.items() if value is not None}


def normalised(body: bytes) -> str:
    """The receipt's text with a lower-case root that ends, and without an empty order (rapid §3.3 step 1); never raises.

    It is for people and for other systems to keep; what a receipt means is read from its bytes, by the rail. Bytes that are no UTF-8 are
    taken for Latin-1, as the mainframe writes. A root with a prefix gets the same care under its own name, so that nothing is put behind
    its end.
    """
    text = _START.sub("<oppdrag", _characters(body))
    prefix = _prefix(text)
    text = _prefixed(text, prefix) if prefix else _ended(text, "</oppdrag>", _END)
    return _EMPTY_ORDER.sub("", text)


def _characters(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("iso-8859-1")


def _prefix(text: str) -> str:
    """The prefix of the root; empty when the root has none, or when there is none."""
    start = _PREFIXED_START.search(text)
    plain = text.find("<oppdrag")
    return start[1] if start and (plain < 0 or start.start() < plain) else ""


def _prefixed(text: str, prefix: str) -> str:
    name = re.escape(prefix)
    lowered = re.sub(f"<{name}:oppdrag(?=[\\s/>])", f"<{prefix}:oppdrag", text, flags=re.IGNORECASE)
    return _ended(lowered, f"</{prefix}:oppdrag>", re.compile(f"</(?:{name}:)?oppdrag\\s*>", re.IGNORECASE))


def _ended(text: str, end: str, any_case: re.Pattern[str]) -> str:
    return any_case.sub(end, text) if any_case.search(text) else text + end
