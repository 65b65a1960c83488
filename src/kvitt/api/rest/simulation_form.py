"""The body of a question about a simulation, described as JSON Schema by the words and limits that it is read by (rapid §5.2)."""

from collections.abc import Collection, Mapping
from typing import Final

from kvitt.contracts.rapid.needs import MAX_NEED_LINES, MAX_RATE
from kvitt.contracts.rapid.wire.simulation_question import (
    AREAS_OVER_HTTP,
    CHANGES_OVER_HTTP,
    CLASS_CODES,
    GREATEST_NUMBER,
    MOST_GRADE,
    RATES_OVER_HTTP,
)

JsonSchema = Mapping[str, object]
_VISIBLE: Final = r"\S"
_FIT: Final = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]*$"
"""What XML can carry."""


def _object(required: Mapping[str, JsonSchema], optional: Mapping[str, JsonSchema], *, further: bool) -> JsonSchema:
    properties = {**required, **{name: _or_null(schema) for name, schema in optional.items()}}
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": further}


def _or_null(schema: JsonSchema) -> JsonSchema:
    return {"oneOf": [schema, {"type": "null"}]}


def _one_of(words: Collection[str], example: str) -> JsonSchema:
    return {"type": "string", "enum": [*words], "examples": [example]}


def _whole(least: int, greatest: int, example: int, meaning: str = "") -> JsonSchema:
    described = {"description": meaning} if meaning else {}
    return {"type": "integer", "minimum": least, "maximum": greatest, "examples": [example], **described}


def _text(most: int, example: str) -> JsonSchema:
    fit = [{"pattern": _VISIBLE}, {"pattern": _FIT}]
    return {"type": "string", "minLength": 1, "maxLength": most, "allOf": fit, "examples": [example]}


def _digits(*lengths: int, example: str) -> JsonSchema:
    pattern = "|".join(f"[0-9]{{{length}}}" for length in lengths)
    return {"type": "string", "pattern": f"^({pattern})$", "examples": [example]}


def _day(example: str) -> JsonSchema:
    return {"type": "string", "format": "date", "examples": [example]}


_LINE: Final = _object(
    {
        "endringskode": _one_of(CHANGES_OVER_HTTP, "NY"),
        "fom": _day("2024-03-04"),
        "tom": _day("2024-03-22"),
        "satstype": _one_of(RATES_OVER_HTTP, "DAGLIG"),
        "sats": _whole(-MAX_RATE, MAX_RATE, 1450, "whole kroner, negative for a deduction"),
        "delytelseId": _whole(-GREATEST_NUMBER, GREATEST_NUMBER, 1),
        "klassekode": _one_of(CLASS_CODES, "REFUSJON_IKKE_OPPLYSNINGSPLIKTIG"),
    },
    {
        "grad": _whole(0, MOST_GRADE, 80),
        "refDelytelseId": _whole(-GREATEST_NUMBER, GREATEST_NUMBER, 1),
        "refFagsystemId": _text(30, "KV5R2WQ7NZEXDJTLMBY4HGASCU"),
        "klassekodeFom": _day("2024-03-04"),
        "opphørerFom": _day("2024-03-11"),
    },
    further=False,
)
_ORDER: Final = _object(
    {
        "fagområde": _one_of(AREAS_OVER_HTTP, "ARBEIDSGIVERREFUSJON"),
        "fagsystemId": _text(30, "KV5R2WQ7NZEXDJTLMBY4HGASCU"),
        "endringskode": _one_of(CHANGES_OVER_HTTP, "ENDRET"),
        "mottakerAvUtbetalingen": _digits(9, 11, example="987654321"),
        "linjer": {"type": "array", "items": _LINE, "minItems": 1, "maxItems": MAX_NEED_LINES},
    },
    {},
    further=False,
)
REQUEST: Final = _object(
    {"fødselsnummer": _digits(11, example="24068715888"), "oppdrag": _ORDER, "saksbehandler": _text(50, "Kari Utbetaler")},
    {"maksdato": _day("2024-12-13")},
    further=True,
)
"""The whole body. What nobody knows is passed over at the top, and refused further in."""
