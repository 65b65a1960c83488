"""The JSON shapes of decisions, field by field with the wire's names (iverksetting §1.2-§1.4). What no shape has is not read.

They live only in this contract: a shape is decoded, turned into a decision, and forgotten. A nullable member may be missing, too.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from kvitt.contracts.iverksetting.decision import DecisionKind, DecisionResult, HolidaySupplement
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner

UnsignedKroner = Annotated[Kroner, Meta(ge=0, le=4_294_967_295)]
"""`beløp` of `/v2`; a number below zero can not be read."""
SignedKroner = Annotated[Kroner, Meta(ge=-2_147_483_648, le=2_147_483_647)]
"""An amount of the older forms, of which a rule says that it is above zero."""


class SpanRate(StrEnum):
    """`satstype`."""

    DAGLIG = "DAGLIG"
    DAGLIG_INKL_HELG = "DAGLIG_INKL_HELG"
    MANEDLIG = "MÅNEDLIG"
    ENGANGS = "ENGANGS"

    @property
    def rate_type(self) -> RateType:
        """The rate that the name stands for."""
        return _RATES[self]


_RATES = {
    SpanRate.DAGLIG: RateType.WEEKDAY,
    SpanRate.DAGLIG_INKL_HELG: RateType.DAY,
    SpanRate.MANEDLIG: RateType.MONTH,
    SpanRate.ENGANGS: RateType.ONE_OFF,
}


class PersonShape(Struct):
    """The object form of `personident`."""

    value: str = field(name="verdi")


class OldHoliday(StrEnum):
    """`ferietillegg` of the first form."""

    ORDINAER = "ORDINAER"
    AVDOD = "AVDOD"


class OldBenefit(StrEnum):
    """`stonadstype` of the first form."""

    DAGPENGER_ARBEIDSSOKER_ORDINAER = "DAGPENGER_ARBEIDSSOKER_ORDINAER"
    DAGPENGER_PERMITTERING_ORDINAER = "DAGPENGER_PERMITTERING_ORDINAER"
    DAGPENGER_PERMITTERING_FISKEINDUSTRI = "DAGPENGER_PERMITTERING_FISKEINDUSTRI"
    DAGPENGER_EOS = "DAGPENGER_EOS"
    TILTAKSPENGER = "TILTAKSPENGER"


class OldSpanShape(Struct):
    """UtbetalingDto of the first form."""

    amount: SignedKroner = field(name="belopPerDag")
    start: date = field(name="fraOgMedDato")
    end: date = field(name="tilOgMedDato")
    benefit: OldBenefit = field(name="stonadstype", default=OldBenefit.DAGPENGER_ARBEIDSSOKER_ORDINAER)
    holiday: OldHoliday | None = field(name="ferietillegg", default=None)


class OldPeriodKind(StrEnum):
    """`periodeType` of `vedtaksperioder`."""

    MIGRERING = "MIGRERING"
    FORLENGELSE = "FORLENGELSE"
    HOVEDPERIODE = "HOVEDPERIODE"
    UTVIDELSE = "UTVIDELSE"
    SANKSJON = "SANKSJON"


class OldPeriodShape(Struct):
    """An entry of `vedtaksperioder`."""

    start: date = field(name="fraOgMedDato")
    end: date | None = field(name="tilOgMedDato", default=None)
    kind: OldPeriodKind = field(name="periodeType", default=OldPeriodKind.HOVEDPERIODE)


class EndReason(StrEnum):
    """`opphorAarsak`."""

    PERIODE_UTLOPT = "PERIODE_UTLØPT"


class RefusalReason(StrEnum):
    """`avslagAarsak`."""

    VILKAR_IKKE_OPPFYLT = "VILKÅR_IKKE_OPPFYLT"
    BARN_OVER_ATTE_AR = "BARN_OVER_ÅTTE_ÅR"
    STONADSTID_OPPBRUKT = "STØNADSTID_OPPBRUKT"
    MANGLENDE_OPPLYSNINGER = "MANGLENDE_OPPLYSNINGER"
    MINDRE_INNTEKTSENDRINGER = "MINDRE_INNTEKTSENDRINGER"


class RecoveryChoice(StrEnum):
    """`tilbakekrevingsvalg`."""

    OPPRETT_TILBAKEKREVING_MED_VARSEL = "OPPRETT_TILBAKEKREVING_MED_VARSEL"
    OPPRETT_TILBAKEKREVING_UTEN_VARSEL = "OPPRETT_TILBAKEKREVING_UTEN_VARSEL"
    IGNORER_TILBAKEKREVING = "IGNORER_TILBAKEKREVING"


class RecoveryDaysShape(Struct):
    """An entry of `fellesperioder`."""

    start: date = field(name="fom")
    end: date = field(name="tom")


class RecoveryNoticeShape(Struct):
    """`tilbakekrevingMedVarsel`."""

    text: str = field(name="varseltekst")
    amount: float | None = field(name="sumFeilutbetaling", default=None)
    days: list[RecoveryDaysShape] = field(name="fellesperioder", default_factory=list)


class RecoveryShape(Struct):
    """`tilbakekreving`: checked, and of no effect on what is paid."""

    choice: RecoveryChoice = field(name="tilbakekrevingsvalg")
    notice: RecoveryNoticeShape | None = field(name="tilbakekrevingMedVarsel", default=None)


class LetterRole(StrEnum):
    """`mottakerRolle`."""

    BRUKER = "BRUKER"
    VERGE = "VERGE"
    FULLMEKTIG = "FULLMEKTIG"


class LetterIdKind(StrEnum):
    """`identType`."""

    PERSONIDENT = "PERSONIDENT"
    ORGANISASJONSNUMMER = "ORGANISASJONSNUMMER"


class LetterShape(Struct):
    """An entry of `brevmottakere`: checked, and of no effect on what is paid."""

    person: str = field(name="ident")
    name: str = field(name="navn")
    role: LetterRole = field(name="mottakerRolle")
    kind: LetterIdKind = field(name="identType")


class OldDecisionShape(Struct):
    """VedtaksdetaljerDto of the first form, with kvitt's own members for the frame."""

    kind: DecisionKind = field(name="vedtakstype")
    decided_at: str = field(name="vedtakstidspunkt")
    result: DecisionResult = field(name="resultat")
    caseworker: str = field(name="saksbehandlerId")
    approver: str = field(name="beslutterId")
    end_reason: EndReason | None = field(name="opphorAarsak", default=None)
    refusal_reason: RefusalReason | None = field(name="avslagAarsak", default=None)
    spans: list[OldSpanShape] = field(name="utbetalinger", default_factory=list)
    periods: list[OldPeriodShape] = field(name="vedtaksperioder", default_factory=list)
    recovery: RecoveryShape | None = field(name="tilbakekreving", default=None)
    letters: list[LetterShape] = field(name="brevmottakere", default_factory=list)
    frame_start: date | None = field(name="virkningstidspunkt", default=None)
    frame_cap: UnsignedKroner | None = field(name="maksbeløpPerDag", default=None)


class OldPreviousShape(Struct):
    """`forrigeIverksetting` of the first form."""

    decision_id: UUID = field(name="behandlingId")
    spans: list[OldSpanShape] = field(name="utbetalinger", default_factory=list)


class OldShape(Struct):
    """IverksettDto of the first form."""

    decision_id: UUID = field(name="behandlingId")
    person: str = field(name="personIdent")
    decision: OldDecisionShape = field(name="vedtak")
    case_uuid: UUID | None = field(name="sakId", default=None)
    case_reference: str | None = field(name="saksreferanse", default=None)
    previous: OldPreviousShape | None = field(name="forrigeIverksetting", default=None)


class TermsShape(Struct):
    """`stønadsdata` of the later forms; which members a benefit needs its name says (iverksetting §1.4)."""

    benefit: str = field(name="stønadstype")
    holiday: HolidaySupplement | None = field(name="ferietillegg", default=None)
    with_children: bool = field(name="barnetillegg", default=False)
    reporting_card: str | None = field(name="meldekortId", default=None)
    office: str | None = field(name="brukersNavKontor", default=None)
    decided_rate: UnsignedKroner | None = field(name="fastsattDagsats", default=None)


class LastSpanShape(Struct):
    """An entry of `utbetalinger` of the last form: `beløpPerDag`, or with `beløp` and `satstype` that of tilleggsstønader."""

    start: date = field(name="fraOgMedDato")
    end: date = field(name="tilOgMedDato")
    terms: TermsShape = field(name="stønadsdata")
    amount_per_day: SignedKroner | None = field(name="beløpPerDag", default=None)
    amount: SignedKroner | None = field(name="beløp", default=None)
    rate: SpanRate | None = field(name="satstype", default=None)
    office: str | None = field(name="brukersNavKontor", default=None)


class OfficeShape(Struct):
    """`brukersNavKontor` of the last form."""

    number: str = field(name="enhet")
    since: date | None = field(name="gjelderFom", default=None)


class _LaterDecisionShape(Struct, kw_only=True):
    """`vedtak` of the later forms, with kvitt's own members for the frame."""

    decided_at: str = field(name="vedtakstidspunkt")
    caseworker: str = field(name="saksbehandlerId")
    approver: str = field(name="beslutterId")
    frame_start: date | None = field(name="virkningstidspunkt", default=None)
    frame_cap: UnsignedKroner | None = field(name="maksbeløpPerDag", default=None)


class LastDecisionShape(_LaterDecisionShape, kw_only=True):
    """`vedtak` of the last form."""

    spans: list[LastSpanShape] | UnsetType = field(name="utbetalinger", default=UNSET)
    office: OfficeShape | None = field(name="brukersNavKontor", default=None)


class PreviousShape(Struct):
    """`forrigeIverksetting` of the later forms."""

    decision_id: str = field(name="behandlingId")
    enactment_id: str | None = field(name="iverksettingId", default=None)


class _LaterShape(Struct, kw_only=True):
    """A decision of the later forms."""

    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    person: str | PersonShape = field(name="personident")
    enactment_id: str | None = field(name="iverksettingId", default=None)
    previous: PreviousShape | None = field(name="forrigeIverksetting", default=None)


class LastShape(_LaterShape, kw_only=True):
    """IverksettDto of the last form."""

    decision: LastDecisionShape = field(name="vedtak")


class V2SpanShape(Struct):
    """UtbetalingV2Dto."""

    amount: UnsignedKroner = field(name="beløp")
    rate: SpanRate = field(name="satstype")
    start: date = field(name="fraOgMedDato")
    end: date = field(name="tilOgMedDato")
    terms: TermsShape = field(name="stønadsdata")


class SimulatedShape(Struct):
    """A question to the simulation: all that the case shall pay, and the decision before (iverksetting §4.1)."""

    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    person: str | PersonShape = field(name="personident")
    caseworker: str = field(name="saksbehandlerId")
    spans: list[V2SpanShape] | UnsetType = field(name="utbetalinger", default=UNSET)
    previous: PreviousShape | None = field(name="forrigeIverksetting", default=None)


class V2DecisionShape(_LaterDecisionShape, kw_only=True):
    """VedtaksdetaljerV2Dto."""

    spans: list[V2SpanShape] | UnsetType = field(name="utbetalinger", default=UNSET)


class V2Shape(_LaterShape, kw_only=True):
    """IverksettV2Dto."""

    decision: V2DecisionShape = field(name="vedtak")
