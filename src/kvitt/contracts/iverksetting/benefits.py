"""Benefits as decisions name them, and the ones of the catalogue that they are paid as (iverksetting appendix A)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kvitt.contracts.iverksetting.decision import BenefitTerms, HolidaySupplement
from kvitt.contracts.iverksetting.shapes import OldBenefit, OldHoliday
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.values import Benefit, Scheme

EEA: Final = "DAGPENGER_EØS"
_WITH_CHILDREN: Final = "_BARN"
_DAGPENGER: Final = ("DAGPENGER_ARBEIDSSØKER_ORDINÆR", "DAGPENGER_PERMITTERING_ORDINÆR", "DAGPENGER_PERMITTERING_FISKEINDUSTRI", EEA)
_HOLIDAYS: Final = {None: "", HolidaySupplement.ORDINARY: "_FERIETILLEGG", HolidaySupplement.DECEASED: "_FERIETILLEGG_AVDØD"}


def _named() -> dict[str, Scheme]:
    """Of tiltakspenger the twins with children are reached by a member, not by name."""
    found = dict.fromkeys(_DAGPENGER, Scheme.DAGPENGER) | {"AAP_UNDER_ARBEIDSAVKLARING": Scheme.AAP}
    for benefit in BENEFITS.values():
        twin = benefit.scheme is Scheme.TILTAKSPENGER and benefit.name.endswith(_WITH_CHILDREN)
        if benefit.scheme in (Scheme.TILTAKSPENGER, Scheme.TILLEGGSSTONADER) and benefit.class_code and not twin:
            found[benefit.name] = benefit.scheme
    return found


SCHEME_OF_BENEFIT: Final[Mapping[str, Scheme]] = MappingProxyType(_named())
"""Every `stønadstype` of the later forms, with the scheme whose it is."""

OLD_BENEFITS: Final = {
    OldBenefit.DAGPENGER_ARBEIDSSOKER_ORDINAER: _DAGPENGER[0],
    OldBenefit.DAGPENGER_PERMITTERING_ORDINAER: _DAGPENGER[1],
    OldBenefit.DAGPENGER_PERMITTERING_FISKEINDUSTRI: _DAGPENGER[2],
    OldBenefit.DAGPENGER_EOS: EEA,
    OldBenefit.TILTAKSPENGER: "TILTAKSPENGER",
}
"""What the first form calls benefits, as the later ones do; of the last one nobody knows a class code."""
OLD_HOLIDAYS: Final = {OldHoliday.ORDINAER: HolidaySupplement.ORDINARY, OldHoliday.AVDOD: HolidaySupplement.DECEASED}


def catalogue_name(terms: BenefitTerms) -> str:
    """The name under which the catalogue has what is paid; supplements and children are benefits of their own there."""
    if terms.scheme is Scheme.DAGPENGER:
        return terms.name + _HOLIDAYS[terms.holiday]
    return terms.name + _WITH_CHILDREN if terms.with_children else terms.name


def benefit_of(terms: BenefitTerms) -> Benefit | None:
    """The benefit in the catalogue; None: there is none that can be paid."""
    found = BENEFITS.get(catalogue_name(terms))
    return found if found is not None and found.class_code else None
