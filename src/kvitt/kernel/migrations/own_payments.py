"""Payments come to be kept in a form of our own; the rows that are there are filled in behind migration 0028.

First the outbox gets the bytes that it told by reference, then the documents they were taken from get their new form.
"""

from typing import Any

import msgspec
import psycopg

from kvitt.kernel.backfill import BATCH, Backfill, Step, by_statement
from kvitt.kernel.queries import load

_SQL = load("own_payments", "kvitt.kernel.migrations")
_RATES = {"DAG": "day", "UKEDAG": "weekday", "MND": "month", "EN_GANG": "one_off"}


def own_document(document: bytes, area: str, action: str) -> bytes:
    """A document of before in the form of our own, byte for byte as the version of this migration writes it."""
    old = msgspec.json.decode(document)
    own = {
        "original_key": old["originalKey"],
        "area": area,
        "payment_id": old["uid"],
        "action": action,
        "first_of_case": old["førsteUtbetalingPåSak"],
        "case_id": old["sakId"],
        "decision_id": old["behandlingId"],
        "last_line": old["lastPeriodeId"],
        "last_sent": _period(old["sistePeriode"]) if old["sistePeriode"] else None,
        "person": old["personident"],
        "decided_at": old["vedtakstidspunkt"],
        "benefit": old["stønad"],
        "approver": old["beslutterId"],
        "caseworker": old["saksbehandlerId"],
        "rate_type": _RATES[old["periodetype"]],
        "hold_back": _hold_back(old["avvent"]) if old["avvent"] else None,
        "periods": [_period(each) for each in old["perioder"]],
        "currency": "NOK",
    }
    return msgspec.json.encode(own)


def _period(old: dict[str, Any]) -> dict[str, Any]:
    own = {
        "start": old["fom"],
        "end": old["tom"],
        "amount_kroner": old["beløp"],
        "office": old["betalendeEnhet"],
        "decided_rate_kroner": old["vedtakssats"],
    }
    return _without_defaults(own)


def _hold_back(old: dict[str, Any]) -> dict[str, Any]:
    own = {
        "start": old["fom"],
        "end": old["tom"],
        "transferred_on": old["overføres"],
        "cause": old["årsak"],
        "registered_by_mistake": old["feilregistrering"] or None,
    }
    return _without_defaults(own)


def _without_defaults(own: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in own.items() if value is not None}


def _documents(cursor: psycopg.Cursor[Any], after: str) -> Step | None:
    place = msgspec.json.decode(after) if after else (-1, "00000000-0000-0000-0000-000000000000", 0)
    rows = cursor.execute(_SQL.payments_after, (*place, BATCH)).fetchall()
    if not rows:
        cursor.execute(_SQL.prove_by_value)
        return None
    keys = [list(column) for column in zip(*(row[:3] for row in rows), strict=True)]
    cursor.execute(_SQL.store_documents, [*keys, [own_document(*row[3:]) for row in rows]])
    return Step(msgspec.json.encode(rows[-1][:3]).decode(), len(rows))


BACKFILLS = (Backfill("bytes of the outbox", by_statement(_SQL.write_values)), Backfill("documents of payments", _documents))
