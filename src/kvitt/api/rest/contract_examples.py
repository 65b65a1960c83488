"""Examples of refusals on the paths of decisions, for the description: each as its contract writes it (iverksetting §1.13)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

from kvitt.api.rest.contract_forms import TRANSACTION_ID, api_error, refusal_of
from kvitt.api.rest.problems import problem_of
from kvitt.contracts.iverksetting import simulated, texts
from kvitt.contracts.iverksetting.decision import DecisionForm, Generation
from kvitt.contracts.iverksetting.rules import RULES
from kvitt.contracts.utbetalinger import avvent, changes, moving, read, rules
from kvitt.disbursement import refusals
from kvitt.disbursement.authority import NOT_FRAMED, NOT_OPENED, ONE_PERSON, SENT_BY_CASEWORKER
from kvitt.disbursement.migrate_case import TAKEN, TAKEN_HERE, moved_to
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import PaymentId, Refusal, Scheme
from kvitt.errors import (
    BadRequest,
    BodyTooLong,
    IssuerUnreachable,
    KeyReused,
    KvittError,
    RequestInProgress,
    ResultUnknown,
    TooManyRequests,
    UnknownApplication,
)
from kvitt.kernel.requests import KEY_HEADER

_UNAUTHORIZED: Final = 401
_UID: Final = PaymentId("7d2f0b52-0c1e-4f6a-9b37-5f0f4f6f1a01")
_ONE_DAY: Final = [
    {
        "beløp": 1270,
        "satstype": "DAGLIG",
        "fraOgMedDato": "2026-03-03",
        "tilOgMedDato": "2026-03-03",
        "stønadsdata": {"stønadstype": "TILSYN_BARN_AAP", "brukersNavKontor": None},
    }
]
A_DECISION: Final = Example(
    summary="one day of child care, behind an earlier decision",
    value={
        "sakId": "TS-70530",
        "behandlingId": "20155",
        "iverksettingId": "7c1a",
        "personident": "01820390012",
        "vedtak": {
            "vedtakstidspunkt": "2026-03-03T12:20:00",
            "saksbehandlerId": "A100001",
            "beslutterId": "B200002",
            "utbetalinger": _ONE_DAY,
        },
        "forrigeIverksetting": {"behandlingId": "20131", "iverksettingId": "6b09"},
    },
)
AN_OLD_DECISION: Final = Example(
    summary="a week of dagpenger, behind a frame decision",
    value={
        "saksreferanse": "DP-2023-17",
        "behandlingId": "3c1d7d0e-6a5f-4c39-9d5b-0f6f5d1c7a02",
        "personIdent": "01820390012",
        "vedtak": {
            "vedtakstype": "UTBETALINGSVEDTAK",
            "vedtakstidspunkt": "2023-09-11T08:40:00",
            "resultat": "INNVILGET",
            "saksbehandlerId": "A100001",
            "beslutterId": "B200002",
            "utbetalinger": [{"belopPerDag": 1180, "fraOgMedDato": "2023-09-04", "tilOgMedDato": "2023-09-08"}],
        },
        "forrigeIverksetting": {"behandlingId": "a7e0b7c4-88a1-4f0f-b2ce-5d8e5f0d1e01", "utbetalinger": []},
    },
)
A_SIMULATED_DECISION: Final = Example(
    summary="one day of child care, behind an earlier decision",
    value={
        "sakId": "TS-70530",
        "behandlingId": "20155",
        "personident": "01820390012",
        "saksbehandlerId": "A100001",
        "utbetalinger": _ONE_DAY,
        "forrigeIverksetting": {"behandlingId": "20131", "iverksettingId": "6b09"},
    },
)
A_PAYMENT: Final = Example(
    summary="two days of AAP",
    value={
        "sakId": "AAP-81100",
        "behandlingId": "51",
        "erFørsteUtbetaling": None,
        "personident": "01820390012",
        "vedtakstidspunkt": "2026-06-15T09:00:00",
        "stønad": "AAP_UNDER_ARBEIDSAVKLARING",
        "beslutterId": "B200002",
        "saksbehandlerId": "A100001",
        "periodeType": "UKEDAG",
        "perioder": [
            {"fom": day, "tom": day, "beløp": 910, "betalendeEnhet": None, "fastsattDagsats": 1140} for day in ("2026-06-01", "2026-06-02")
        ],
        "avvent": None,
    },
)
A_NAME: Final = Example(summary="who asks is an approver", value="B200002")
A_STATUS: Final = Example(summary="taken by the rail", value="OK")
THE_PAYMENTS: Final = Example(summary=A_PAYMENT.summary, value=[A_PAYMENT.value])
A_CORRECTION: Final = Example(
    summary="a hold-back of June that was none",
    value={
        "stønad": "AAP_UNDER_ARBEIDSAVKLARING",
        "sakId": "AAP-81100",
        "personident": "01820390012",
        "saksbehandlerId": "A100001",
        "avvent": {
            "fom": "2026-06-01",
            "tom": "2026-06-30",
            "overføres": "2026-07-05",
            "årsak": "AVVENT_AVREGNING",
            "feilregistrering": True,
        },
    },
)
A_MESSAGE: Final = Example(
    summary="two weeks of AAP, by the day",
    value={
        "sakId": "AAP-81100",
        "behandlingId": "51",
        "ident": "01820390012",
        "vedtakstidspunktet": "2026-06-15T09:00:00",
        "utbetalinger": [{"id": _UID, "fom": "2026-06-01", "tom": "2026-06-12", "sats": 1140, "utbetaltBeløp": 910}],
    },
)
WHAT_IS_PAID: Final = Example(
    summary="nothing was paid before",
    value={
        "@type": "v2",
        "perioder": [
            {
                "fom": "2026-06-01",
                "tom": "2026-06-12",
                "utbetalinger": [
                    {
                        "fagsystem": "AAP",
                        "sakId": "AAP-81100",
                        "utbetalesTil": "01820390012",
                        "stønadstype": "AAP_UNDER_ARBEIDSAVKLARING",
                        "tidligereUtbetalt": 0,
                        "nyttBeløp": 9100,
                        "posteringer": [{"fom": "2026-06-01", "tom": "2026-06-12", "beløp": 9100, "type": "YTEL", "klassekode": "AAPOR"}],
                    }
                ],
            }
        ],
    },
)
A_DAY_MORE: Final = Example(
    summary="a day was paid 650 before, and shall pay 720",
    value={
        "oppsummeringer": [
            {
                "fom": "2025-05-05",
                "tom": "2025-05-05",
                "tidligereUtbetalt": 650,
                "nyUtbetaling": 720,
                "totalEtterbetaling": 70,
                "totalFeilutbetaling": 0,
            }
        ],
        "detaljer": {
            "gjelderId": "01820390012",
            "datoBeregnet": "2025-05-28",
            "totalBeløp": 70,
            "perioder": [
                {
                    "fom": "2025-05-05",
                    "tom": "2025-05-05",
                    "posteringer": [
                        {
                            "fagområde": "TILLEGGSSTØNADER",
                            "sakId": "TS-70412",
                            "fom": "2025-05-05",
                            "tom": "2025-05-05",
                            "beløp": kroner,
                            "type": "YTELSE",
                            "klassekode": "TSTBASISP4-OP",
                        }
                        for kroner in (720, -650)
                    ],
                }
            ],
        },
    },
)
NO_CHANGE: Final = Example(summary="nothing would change", value={"@type": "info", "status": "OK_UTEN_ENDRING"})
A_MOVE: Final = Example(
    summary="the payments of one reporting card", value={"sakId": "TP-55310", "behandlingId": "77", "meldeperiode": "2026-05-18/2026-05-31"}
)
_MOVED_TO: Final = PaymentId("1a7c6f30-5b0d-4c8e-8f0a-2d4b6c8e0f02")
A_MOVED_PAYMENT: Final = Example(summary="the id under which the stream has it", value={"id": _MOVED_TO})
MOVED_PAYMENTS: Final = Example(summary="one of several payments", value={"items": [{"uid": _UID, "id": _MOVED_TO}]})
_IDS: Final[Mapping[str, object]] = {
    "case": "S700",
    "decision": "5",
    "enactment": None,
    "previous": "3",
    "previous_enactment": None,
    "latest": "4",
    "latest_enactment": None,
    "other": "S701",
    "scheme": "DAGPENGER",
    "benefit": "TILSYN_BARN_AAP",
    "fields": "vedtak.utbetalinger",
}
_OF_OTHERS: Final = (
    texts.RECEIVED_ALREADY,
    texts.GRANTED_WITHOUT_SPANS,
    texts.REFUSED_WITH_SPANS,
    texts.NOT_POSITIVE,
    texts.OVER_CAP,
    texts.OTHER_PERSON,
    texts.NOT_CONSISTENT,
    texts.NO_FRAME_YET,
    texts.SCHEME_STOPPED,
    texts.NOT_TO_BE_SIMULATED,
)
"""Rules of older generations alone, of simulations, and the text that is no object."""
_AUTHORITY: Final = (NOT_OPENED, NOT_FRAMED, ONE_PERSON, SENT_BY_CASEWORKER)
OF_DECISIONS: Final[Iterable[Refusal]] = (
    Refusal(400, texts.NOT_READ, texts.CREATE_PAGE),
    *(
        each.refusal(Generation.THIRD, **_IDS)
        for each in vars(texts).values()
        if isinstance(each, texts.Wording) and each not in _OF_OTHERS
    ),
    Refusal(501, "kan ikke migrere AAP enda", BASE),
    *_AUTHORITY,
    refusals.owned_by_another("utbetalinger"),
)
"""Refusals of decisions, in the words of the newest generation."""
NOT_IN_TIME: Final = Refusal(408, "Simuleringen ble ikke besvart i tide", BASE)
OF_SIMULATED_DECISIONS: Final[Iterable[Refusal]] = (
    Refusal(400, texts.NOT_READ, texts.CREATE_PAGE),
    *(rule.wording.refusal(Generation.THIRD) for rule in RULES[DecisionForm.SIMULATED]),
    *(each.refusal(Generation.THIRD, **_IDS) for each in (texts.OTHER_SCHEME, texts.NOT_TO_BE_SIMULATED, texts.PREVIOUS_NOT_LATEST)),
    refusals.owned_by_another("utbetalinger"),
    refusals.NOT_SIMULATED,
    refusals.TOO_MANY_TO_SIMULATE,
    NOT_IN_TIME,
    *simulated.REFUSALS,
)
"""Refusals of decisions that are simulated, in the words of the newest generation."""
NO_SUCH_SCHEME: Final = Refusal(404, "Fant ikke fagsystemet", BASE)
_OF_DRY_RUNS: Final = (
    refusals.NO_PERIODS,
    refusals.NO_REAL_CHANGE,
    refusals.USED_OTHERWISE,
    refusals.TOO_MANY_TO_SIMULATE,
    Refusal(404, "Personen finnes ikke", f"{BASE}/async/kom_i_gang/simuler_en_utbetaling#personen-finnes-ikke"),
    Refusal(502, "simulering stengt, tilgjengelig man-fre kl 6-21", BASE),
)
"""Refusals of messages that are simulated; they are answered as the stream answers them."""
OF_PAYMENTS: Final[Iterable[Refusal]] = (
    read.NO_UUID,
    read.UNREADABLE,
    refusals.NO_PERIODS,
    refusals.ONE_OFF_ACROSS_YEARS,
    refusals.DUPLICATE_PERIODS,
    refusals.END_BEFORE_START,
    rules.RESERVED_RATE,
    rules.INCONSISTENT_DAYS,
    refusals.TOO_LONG,
    refusals.ZERO_AMOUNT,
    refusals.BAD_CASE_ID,
    refusals.BAD_DECISION_ID,
    rules.ONE_OFFS_TO_JOIN,
    refusals.OVERLAP,
    refusals.unchangeable("sakId"),
    changes.OTHER_RATE_TYPE,
    changes.OTHER_PERIODS,
    avvent.NOT_A_CORRECTION,
    avvent.NO_TRANSFER,
    changes.not_found(_UID),
    changes.never_made(_UID),
    changes.no_status(_UID),
    changes.no_correction(_UID),
    changes.exists_already(_UID),
    refusals.NO_REAL_CHANGE,
    refusals.owned_by_another("iverksetting"),
    changes.NOT_MATCHED,
    changes.OPEN_ORDER_AT_UPDATE,
    changes.OPEN_ORDER_AT_DELETE,
    changes.CASE_HAS_OPEN_ORDER,
    ONE_PERSON,
)
"""Refusals of single payments."""
OF_MOVED_PAYMENTS: Final[Iterable[Refusal]] = (
    read.NO_UUID,
    read.UNREADABLE,
    moving.NO_ITEMS,
    moving.NAMED_TWICE,
    moving.several_cases(["S700", "S701"]),
    moving.NOT_WEEKDAYS,
    moving.unknown(_UID),
    moved_to(_MOVED_TO),
    TAKEN,
    TAKEN_HERE,
    changes.OPEN_ORDER_AT_UPDATE,
    moving.not_moved(Scheme.TILLEGGSSTONADER),
)
"""Refusals of payments that are to move."""


def _of_all(header: str) -> list[Refusal]:
    """Refusals of a call itself, on all of these paths; `header` is the one by which repeats are recognised."""
    errors = (
        UnknownApplication("mangler mapping mellom appname (x) og fagsystem-enum"),
        BadRequest((header, "has 1 to 255 printable characters")),
        HTTPException(status_code=404),
        KeyReused(f"the {header} was used for another request"),
        RequestInProgress(f"a request with this {header} is being answered"),
        BodyTooLong("a body has at most 1048576 bytes"),
        HTTPException(status_code=415, detail="the body must be application/json"),
        TooManyRequests(2),
        KvittError("kvitt failed on the request"),
        IssuerUnreachable("the keys of the token issuer can not be had"),
        ResultUnknown(),
    )
    return [refusal_of(problem_of(error)) for error in errors]


def with_examples(specs: Mapping[int, ResponseSpec], known: Iterable[Refusal], *, header: str = KEY_HEADER) -> dict[int, ResponseSpec]:
    """The same answers, each with all of its refusals; a missing or wrong token is answered without a body."""
    return {status: _exemplified(status, spec, [*known, *_of_all(header)]) for status, spec in specs.items()}


def of_dry_runs(specs: Mapping[int, ResponseSpec]) -> dict[int, ResponseSpec]:
    """The same answers of dry runs, with refusals of the call itself and those of its message, which stand in a StatusReply."""
    answers = with_examples(specs, (NO_SUCH_SCHEME, NOT_IN_TIME), header=TRANSACTION_ID)
    return {status: replace(spec, examples=[*(spec.examples or ()), *_replies(status)]) for status, spec in answers.items()}


def _replies(status: int) -> list[Example]:
    said = {"status": "FEILET", "detaljer": None, "simulering": True}
    known = [each for each in _OF_DRY_RUNS if each.status == status]
    return [Example(summary=each.text, value=said | {"error": json.loads(api_error(each)[1])}) for each in known]


def _exemplified(status: int, spec: ResponseSpec, known: Iterable[Refusal]) -> ResponseSpec:
    if status == _UNAUTHORIZED:
        return replace(spec, data_container=None)
    shown = [Example(summary=each.text, value=json.loads(api_error(each)[1])) for each in known if each.status == status]
    return replace(spec, examples=shown)
