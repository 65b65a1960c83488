"""A decision as values with English names, whichever of the three forms it came in (iverksetting §1.2-§1.4).

Every decision holds the complete state of its case. `read.py` makes them of JSON, `rules.py` says what is wrong with one by itself,
`chain.py` what is wrong with it after those before it.
"""

import hashlib
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from kvitt.disbursement.decisions import DecisionKey, Frame
from kvitt.disbursement.values import Instruction, RateType, Scheme
from kvitt.kernel.money import Kroner

NO_ENACTMENT: Final = ""
"""In a key, that a decision has no id of its enactment; it is nobody else's id, for ids have at least one character."""
_NOBODYS: Final = " "
_SHOWN_DIGITS: Final = 8


class DecisionForm(StrEnum):
    """Forms of a decision: of 2023 with frame and payment decisions, of 2024 without them, that of `/v2`, and what is simulated."""

    FIRST = "first"
    LAST = "last"
    V2 = "v2"
    SIMULATED = "simulated"


class Generation(StrEnum):
    """Generations of the service whose codes, texts and bodies of errors kvitt answers with.

    SECOND_PLAIN is the second one as it was until June 2024, when it wrote its texts without quotes.
    """

    FIRST = "first"
    SECOND_PLAIN = "second_plain"
    SECOND = "second"
    THIRD = "third"


class DecisionKind(StrEnum):
    """`vedtakstype` of the first form."""

    FRAME = "RAMMEVEDTAK"
    PAYMENT = "UTBETALINGSVEDTAK"


class DecisionResult(StrEnum):
    """`resultat` of the first form."""

    GRANTED = "INNVILGET"
    CEASED = "OPPHØRT"
    REFUSED = "AVSLÅTT"


class HolidaySupplement(StrEnum):
    """`ferietillegg`: ordinary, or paid for somebody who has died."""

    ORDINARY = "ORDINÆR"
    DECEASED = "AVDØD"


class BenefitTerms(Struct, frozen=True, omit_defaults=True):
    """`stønadsdata`: what is paid for, and what distinguishes it; overlap is looked for among spans of equal terms (iverksetting §1.5).

    `name` is that of the newest form. `reporting_card` is None where a form knows none.
    """

    name: str
    scheme: Scheme
    holiday: HolidaySupplement | None = None
    with_children: bool = False
    reporting_card: str | None = None
    office: str | None = None
    decided_rate: Kroner | None = None


class DecidedSpan(Struct, frozen=True):
    """One entry of `utbetalinger`, both days included."""

    start: date
    end: date
    amount: Kroner
    rate_type: RateType
    terms: BenefitTerms


class EnactmentKey(Struct, frozen=True, order=True):
    """By what a decision is known within its case, as it was named: `behandlingId`, and `iverksettingId` where there is one."""

    decision_id: str
    enactment_id: str | None = None

    @property
    def names(self) -> DecisionKey:
        """The two names of its identity in the store; an empty id is that of no decision, and not none."""
        return self.decision_id, NO_ENACTMENT if self.enactment_id is None else self.enactment_id or _NOBODYS


class CaseDecision(Instruction, frozen=True):
    """One decision about a case. `previous` is the one before it, None: it is the first.

    `case_id` and `decision_id` are names that the rail has room for, `case_name` and `key` those that the sender gave.
    `previous_spans` are those that the first form says were decided last; None: it says nothing of them. `frame` is what nothing may be
    paid outside of without an approver; a decision that carries none leaves it as it is.
    """

    form: DecisionForm
    case_id: str
    case_name: str
    decision_id: str
    key: EnactmentKey
    person: str
    decided_at: str
    caseworker: str
    approver: str
    spans: tuple[DecidedSpan, ...]
    previous: EnactmentKey | None
    previous_spans: tuple[DecidedSpan, ...] | None = None

    @property
    def payee(self) -> str:
        """The person of the case."""
        return self.person

    kind: DecisionKind | None = None
    result: DecisionResult | None = None
    office: str | None = None
    frame: Frame = Frame()

    def meaning(self) -> Mapping[str, str]:
        """Short digests of all that it says besides its ids, by the names on the wire: two decisions are the same where all are equal."""
        return {name: _short_digest(value) for name, value in _said(self)}

    def digest(self) -> bytes:
        """The digest of all that it says; blanks, the order of members and members that nobody reads change nothing of it."""
        return hashlib.sha256(b"\0".join(_encoded(value) for _, value in _said(self))).digest()


def _said(decision: CaseDecision) -> list[tuple[str, object]]:
    return [
        ("personident", decision.person),
        ("vedtak.vedtakstidspunkt", decision.decided_at),
        ("vedtak.saksbehandlerId", decision.caseworker),
        ("vedtak.beslutterId", decision.approver),
        ("vedtak.utbetalinger", decision.spans),
        ("vedtak.vedtakstype", decision.kind),
        ("vedtak.resultat", decision.result),
        ("vedtak.brukersNavKontor", decision.office),
        ("vedtak.virkningstidspunkt", decision.frame.start),
        ("vedtak.maksbeløpPerDag", decision.frame.cap_kroner),
        ("forrigeIverksetting", (decision.previous, decision.previous_spans)),
    ]


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def _short_digest(value: object) -> str:
    return hashlib.sha256(_encoded(value)).hexdigest()[:_SHOWN_DIGITS]
