"""The JSON shapes of the stream contract, field by field in the contract's order, with the wire's names (helved §2.6, §2.7).

They live only in this contract: a shape is decoded, turned into a value of the core, and forgotten. Its entries may be those of
`messages.py`.
"""

from datetime import date
from enum import StrEnum
from uuid import UUID

from msgspec import Struct, field

from kvitt.contracts.helved.messages import AapEntry, Amount, DpDay, TsPayment
from kvitt.disbursement.values import HoldBackShape, RateType


class RateName(StrEnum):
    """`periodetype`."""

    DAG = "DAG"
    UKEDAG = "UKEDAG"
    MND = "MND"
    EN_GANG = "EN_GANG"

    @property
    def rate_type(self) -> RateType:
        """The rate that the name stands for."""
        return _RATES[self]


_RATES = {
    RateName.DAG: RateType.DAY,
    RateName.UKEDAG: RateType.WEEKDAY,
    RateName.MND: RateType.MONTH,
    RateName.EN_GANG: RateType.ONE_OFF,
}
RATE_NAMES = {rate_type: name for name, rate_type in _RATES.items()}


class DpShape(Struct):
    """DpUtbetaling."""

    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    person: str = field(name="ident")
    days: tuple[DpDay, ...] = field(name="utbetalinger")
    decided_at: str = field(name="vedtakstidspunktet")
    dry_run: bool = field(name="dryrun", default=False)
    caseworker: str | None = field(name="saksbehandler", default=None)
    approver: str | None = field(name="beslutter", default=None)


class AapShape(Struct):
    """AapUtbetaling."""

    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    person: str = field(name="ident")
    entries: tuple[AapEntry, ...] = field(name="utbetalinger")
    decided_at: str = field(name="vedtakstidspunktet")
    dry_run: bool = field(name="dryrun", default=False)
    caseworker: str | None = field(name="saksbehandler", default=None)
    approver: str | None = field(name="beslutter", default=None)
    hold_back: HoldBackShape | None = field(name="avvent", default=None)


class TsShape(Struct):
    """TsDto."""

    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    person: str = field(name="personident")
    decided_at: str = field(name="vedtakstidspunkt")
    rate_name: RateName = field(name="periodetype")
    payments: tuple[TsPayment, ...] = field(name="utbetalinger")
    dry_run: bool = field(name="dryrun", default=False)
    caseworker: str | None = field(name="saksbehandler", default=None)
    approver: str | None = field(name="beslutter", default=None)


class TpEntryShape(Struct):
    """An entry of `perioder` of TpUtbetaling."""

    reporting_period: str = field(name="meldeperiode")
    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Amount = field(name="beløp")
    benefit: str = field(name="stønad")
    office: str | None = field(name="betalendeEnhet", default=None)
    with_children: bool = field(name="barnetillegg", default=False)


class TpShape(Struct):
    """TpUtbetaling."""

    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    person: str = field(name="personident")
    decided_at: str = field(name="vedtakstidspunkt")
    entries: list[TpEntryShape] = field(name="perioder")
    dry_run: bool = field(name="dryrun", default=False)
    caseworker: str | None = field(name="saksbehandler", default=None)
    approver: str | None = field(name="beslutter", default=None)


class PlainSpanShape(Struct):
    """An entry of `perioder` of HistoriskUtbetaling; it names no office."""

    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Amount = field(name="beløp")


class HistoriskShape(Struct):
    """HistoriskUtbetaling."""

    payment_id: UUID = field(name="id")
    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    person: str = field(name="personident")
    benefit: str = field(name="stønad")
    decided_at: str = field(name="vedtakstidspunkt")
    rate_name: RateName = field(name="periodetype")
    spans: list[PlainSpanShape] = field(name="perioder")
    dry_run: bool = field(name="dryrun", default=False)
    caseworker: str | None = field(name="saksbehandler", default=None)
    approver: str | None = field(name="beslutter", default=None)


class DaysShape(Struct):
    """`periode` of ValpUtbetaling."""

    start: date = field(name="fom")
    end: date = field(name="tom")


class ValpShape(Struct):
    """ValpUtbetaling; note its own spellings."""

    payment_id: UUID = field(name="id")
    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    person: str = field(name="personIdent")
    days: DaysShape = field(name="periode")
    amount: Amount = field(name="belop")
    grant_kind: str = field(name="tilskuddstype")
    measure: str = field(name="tiltakskode")
    caseworker: str = field(name="saksbehandler")
    decided_at: str = field(name="besluttetTidspunkt")
    approver: str | None = field(name="beslutter", default=None)
    office: str | None = field(name="kostnadssted", default=None)
    dry_run: bool = field(name="dryrun", default=False)
