"""The catalogue against spot checks of every table of the contract (helved §2.4–§2.6)."""

import pytest

from kvitt.disbursement.catalogue import (
    AREA_OF_NAME,
    AREAS,
    BENEFITS,
    DECISION_AREAS,
    SCHEMES,
    STREAM_BENEFITS,
    benefits_of,
)
from kvitt.disbursement.values import Area, RateType, Scheme
from kvitt.rails.oppdrag.order_xml import RATE_CODES

DP, AAP, TP, TS, OLD, VALP = (
    Scheme.DAGPENGER,
    Scheme.AAP,
    Scheme.TILTAKSPENGER,
    Scheme.TILLEGGSSTONADER,
    Scheme.HISTORISK,
    Scheme.VALP,
)


@pytest.mark.parametrize(
    ("scheme", "count", "without_code"), [(DP, 25, 12), (AAP, 1, 0), (TP, 44, 0), (TS, 54, 10), (OLD, 56, 0), (VALP, 40, 0)]
)
def test_every_scheme_has_all_its_benefits(scheme: Scheme, count: int, without_code: int) -> None:
    benefits = benefits_of(scheme)
    assert len(benefits) == count
    assert sum(not each.class_code for each in benefits) == without_code


def test_no_benefit_is_lost_to_a_clash_of_names() -> None:
    assert len(BENEFITS) == sum(len(benefits_of(scheme)) for scheme in Scheme) == 220


@pytest.mark.parametrize(
    ("name", "scheme", "code", "area"),
    [
        ("DAGPENGER", DP, "DAGPENGER", "DP"),
        ("DAGPENGERFERIE", DP, "DAGPENGERFERIE", "DP"),
        ("EØS_FERIETILLEGG_AVDØD", DP, "", "DP"),
        ("AAP_UNDER_ARBEIDSAVKLARING", AAP, "AAPOR", "AAP"),
        ("ARBEIDSFORBEREDENDE_TRENING", TP, "TPTPAFT", "TILTPENG"),
        ("ENKELTPLASS_VGS_OG_HØYERE_YRKESFAG", TP, "TPTPEPVGSHOU", "TILTPENG"),
        ("GRUPPE_VGS_OG_HØYERE_YRKESFAG", TP, "TPTPGRVGSHOY", "TILTPENG"),
        ("FAGSKOLE", TP, "TPFORSHOYUTD", "TILTPENG"),
        ("TILSYN_BARN_AAP", TS, "TSTBASISP4-OP", "TILLSTPB"),
        ("LÆREMIDLER_ETTERLATTE", TS, "TSLMASISP4-OP", "TILLSTLM"),
        ("BOUTGIFTER_ETTERLATTE", TS, "TSBUAISP3-O", "TILLSTBO"),
        ("DAGLIG_REISE_ENSLIG_FORSØRGET", TS, "TSDRASISP4-OP", "TILLSTDR"),
        ("DAGLIG_REISE_ENSLIG_FORSØRGER", TS, "TSDRASISP4-OP", "TILLSTDR"),
        ("DAGLIG_REISE_TILTAK_FORSØK_OPPLÆRINGSTILTAK_LENGER_VARIGHET", TS, "TSDRFOLV", "TILLSTDR"),
        ("REISE_TIL_SAMLING_TILTAK_GRUPPE_FAG_YRKE_HOYERE_UTD", TS, "TSROSVGSHOY-OP", "TILLSTRS"),
        ("REISE_OPPSTART_AAP", TS, "", "TILLSTRO"),
        ("REIS_ARBEID_ETTERLATTE", TS, "", "TILLSTRA"),
        ("FLYTTING_AAP", TS, "", "TILLSTFL"),
        ("ORTOSE", OLD, "HTOHHÅ", "HELSREF"),
        ("TILSKUDD_SMÅHJELPEMIDLER", OLD, "HJRIM", "HELSREF"),
        ("REPARASJON_BEHANDLINGSBRILLE", OLD, "HTBDRB", "HELSREF"),
        ("ENKELTPLASS_ARBEIDSMARKEDSOPPLAERING_SKOLEPENGER", VALP, "TTOENKPAMOSKOLP", "TILSOPP"),
        ("NORSKOPPLAERING_GRUNNLEGGENDE_FERDIGHETER_FOV_INTEGRERT_BOTILBUD", VALP, "TTONOGFINTBOTIL", "TILSOPP"),
        ("STUDIESPESIALISERING_STUDIEREISE", VALP, "TTOSTUDSPSTUDRS", "TILSOPP"),
        ("HOYERE_YRKESFAGLIG_UTDANNING_EKSAMENSGEBYR", VALP, "TTOFAGHOYUDEKSGE", "TILSOPP"),
        ("HOYERE_UTDANNING_SEMESTERAVGIFT", VALP, "TTOHOYUDSEMAVG", "TILSOPP"),
    ],
)
def test_a_benefit_has_its_class_code_and_area(name: str, scheme: Scheme, code: str, area: str) -> None:
    benefit = BENEFITS[name]
    assert (benefit.scheme, benefit.class_code, benefit.area) == (scheme, code, area)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ARBEIDSSØKER_ORDINÆR", "DPORAS"),
        ("ARBEIDSSØKER_ORDINÆR_FERIETILLEGG", "DPORASFE"),
        ("ARBEIDSSØKER_ORDINÆR_FERIETILLEGG_AVDØD", "DPORASFE-IOP"),
        ("PERMITTERING_ORDINÆR", "DPPEAS"),
        ("PERMITTERING_ORDINÆR_FERIETILLEGG", "DPPEASFE1"),
        ("PERMITTERING_ORDINÆR_FERIETILLEGG_AVDØD", "DPPEASFE1-IOP"),
        ("PERMITTERING_FISKEINDUSTRI", "DPPEFI"),
        ("PERMITTERING_FISKEINDUSTRI_FERIETILLEGG", "DPPEFIFE1"),
        ("PERMITTERING_FISKEINDUSTRI_FERIETILLEGG_AVDØD", "DPPEFIFE1-IOP"),
        ("EØS", "DPDPASISP1"),
        ("EØS_FERIETILLEGG", "DPFEASISP"),
    ],
)
def test_dagpenger_of_decisions_have_class_codes_that_streams_do_not_name(name: str, code: str) -> None:
    benefit = BENEFITS[f"DAGPENGER_{name}"]
    assert (benefit.scheme, benefit.class_code, benefit.area) == (DP, code, "DP")
    assert benefit.name not in STREAM_BENEFITS


def test_there_are_no_other_benefits_than_those_of_streams_and_these() -> None:
    assert len(BENEFITS.keys() - STREAM_BENEFITS.keys()) == 11


def test_decisions_are_posted_in_one_area_of_their_scheme() -> None:
    assert DECISION_AREAS == {DP: "DP", TP: "TILTPENG", TS: "TILLST", AAP: "AAP"}
    assert all(AREAS[area].scheme is scheme for scheme, area in DECISION_AREAS.items())


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("ARBEIDSFORBEREDENDE_TRENING", "TPBTAF"),
        ("ARBEIDSTRENING", "TPBTATTILT"),
        ("DIGITAL_JOBBKLUBB", "TPBTDJK"),
        ("ENKELTPLASS_VGS_OG_HØYERE_YRKESFAG", "TPBTEPVGSHOY"),
        ("OPPFØLGING", "TPBTOPPFAGR"),
        ("UTVIDET_OPPFØLGING_I_NAV", "TPBTUAOPPFL"),
        ("ARBEIDSMARKEDSOPPLÆRING_AMO", "TPFORSAMOGRUBT"),
    ],
)
def test_the_twin_for_children_has_a_class_code_of_its_own(name: str, twin: str) -> None:
    assert BENEFITS[f"{name}_BARN"].class_code == twin


def test_every_benefit_of_tiltakspenger_has_a_twin() -> None:
    names = {each.name for each in benefits_of(TP)}
    alone = {name for name in names if not name.endswith("_BARN")}
    assert len(alone) == 22
    assert names == alone | {f"{name}_BARN" for name in alone}


def test_class_codes_are_different_but_for_one_misspelt_name() -> None:
    codes = [each.class_code for each in BENEFITS.values() if each.class_code]
    assert {code for code in codes if codes.count(code) > 1} == {"TSDRASISP4-OP"}


def test_only_some_benefits_may_use_the_umbrella_area() -> None:
    allowed = [each for each in BENEFITS.values() if each.may_use_umbrella_area]
    assert {each.scheme for each in allowed} == {TS}
    assert {each.area for each in allowed} == {"TILLSTPB", "TILLSTLM", "TILLSTBO", "TILLSTDR"}
    assert len(allowed) == 26
    assert sum(each.name.startswith("DAGLIG_REISE_TILTAK_") for each in allowed) == 17


@pytest.mark.parametrize(
    ("area", "scheme", "name"),
    [
        ("DP", DP, "DAGPENGER"),
        ("AAP", AAP, "AAP"),
        ("TILTPENG", TP, "TILTAKSPENGER"),
        ("TILLST", TS, "TILLEGGSSTØNADER"),
        *((f"TILLST{part}", TS, f"TILLST{part}") for part in ("PB", "LM", "BO", "DR", "RS", "RO", "RA", "FL")),
        ("HELSREF", OLD, "HISTORISK"),
        ("TILSOPP", VALP, "VALP"),
        ("SPREF", Scheme.SYKEPENGER, "SPREF"),
        ("SP", Scheme.SYKEPENGER, "SP"),
    ],
)
def test_an_area_has_a_scheme_and_a_name(area: str, scheme: Scheme, name: str) -> None:
    assert (AREAS[Area(area)].scheme, AREAS[Area(area)].name) == (scheme, name)
    assert AREA_OF_NAME[name] == area


def test_there_are_no_other_areas() -> None:
    assert len(AREAS) == 16
    assert {each.area for each in BENEFITS.values()} | {"TILLST", "SPREF", "SP"} == set(AREAS)


@pytest.mark.parametrize(
    ("scheme", "people", "frequency", "whole_case", "sender_chooses_ids"),
    [
        (DP, "dp", "MND", True, False),
        (AAP, "kelvin", "MND", True, True),
        (TP, "tp", "MND", True, False),
        (TS, "ts", "MND", False, True),
        (OLD, "hist", "ENG", False, True),
        (VALP, "teamvalp", "MND", False, True),
        (Scheme.SYKEPENGER, "", "MND", False, False),
    ],
)
def test_what_is_the_same_for_all_cases_of_a_scheme(
    scheme: Scheme, people: str, frequency: str, whole_case: bool, sender_chooses_ids: bool
) -> None:
    terms = SCHEMES[scheme]
    assert (terms.default_caseworker, terms.default_approver, terms.frequency) == (people, people, frequency)
    assert (terms.whole_case, terms.sender_chooses_ids) == (whole_case, sender_chooses_ids)
    assert len(people) <= 8, "the rail's simulation takes no more"


def test_rate_types_have_the_codes_of_the_rail() -> None:
    assert RATE_CODES == {RateType.DAY: "DAG7", RateType.WEEKDAY: "DAG", RateType.MONTH: "MND", RateType.ONE_OFF: "ENG"}
