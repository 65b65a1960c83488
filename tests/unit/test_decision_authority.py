"""Who may send which decisions: what a token and the rules of its scheme let one do, and what a decision may not say (design §11)."""

import re
from datetime import date
from typing import Any

import pytest

from kvitt.api.rest.callers import APPROVER_SCOPE, SCHEME_SCOPE, Caller, DecisionAccess, Grants, Permission
from kvitt.app.apis import decision_access
from kvitt.disbursement.authority import (
    NOT_FRAMED,
    NOT_OPENED,
    ONE_PERSON,
    SENT_BY_CASEWORKER,
    Authority,
    DecisionPolicy,
    TwoPeople,
    authority_of,
    refused_frame,
    refused_one_person,
    refused_opening,
    refused_outside_frame,
)
from kvitt.disbursement.values import Scheme
from kvitt.errors import BadRequest, KvittError, MissingClaim, NotAuthenticated, OtherScheme, SystemCallRefused, UnknownApplication
from kvitt.settings import DecisionSettings, RestSettings, Settings

DP, AAP, TS = Scheme.DAGPENGER, Scheme.AAP, Scheme.TILLEGGSSTONADER
MACHINE = {"roles": ["access_as_application"]}
PERSON = {"NAVident": "Z990001"}
GRANTS = Grants(
    {"client": [Permission.LEDGER_READ]},
    schemes={"dp-mellom": [DP], "prod:dp:dp-mellom-2": [DP], "both": [DP, TS]},
)


def caller(name: str | None = "prod:dp:dp-mellom", grants: Grants = GRANTS, **claims: Any) -> Caller:
    named = {} if name is None else {"azp_name": name}
    return grants.caller({"azp": "client", "sub": "s", **named, **claims})


def access(**rules: Any) -> DecisionAccess:
    return DecisionAccess({DP: DecisionPolicy(approver_groups=frozenset({"deciders"}), **rules)})


def test_an_application_is_known_by_what_is_behind_the_last_colon_or_by_its_whole_name() -> None:
    assert [caller(name).schemes for name in ("prod:dp:dp-mellom", "dp-mellom", "dev:x:dp-mellom")] == [{DP}] * 3
    assert caller("prod:dp:dp-mellom-2").schemes == {DP}
    # What is set with its cluster and team is nobody else of that name.
    assert caller("dev:dp:dp-mellom-2").schemes == frozenset()
    assert caller("dp-mellom:").schemes == frozenset()


def test_a_person_and_a_machine_are_told_apart_and_no_token_is_both() -> None:
    assert caller(**PERSON).person == "Z990001"
    assert caller(**MACHINE).person is None
    assert caller().person is None
    with pytest.raises(NotAuthenticated, match="ambiguous token"):
        caller(**PERSON, **MACHINE)
    with pytest.raises(NotAuthenticated, match="ambiguous token"):
        caller(**PERSON, roles="access_as_application")
    for wrong in ("", 7, "x" * 256, ["Z990001"], "Z\n1"):
        with pytest.raises(NotAuthenticated, match="NAVident"):
            caller(NAVident=wrong)


def test_scopes_of_a_token_count_only_where_its_issuer_is_ours() -> None:
    scope = f"{SCHEME_SCOPE}{DP} {APPROVER_SCOPE}{DP} ledger:write"
    ours, other = (caller("x", Grants(by_scope=ours), scope=scope, **PERSON) for ours in (True, False))
    assert (ours.schemes, ours.approver_of, ours.permissions) == ({DP}, {DP}, {Permission.LEDGER_WRITE})
    assert (other.schemes, other.approver_of, other.permissions) == (frozenset(), frozenset(), frozenset())


@pytest.mark.parametrize(
    ("claims", "headers", "outcome"),
    [
        ({}, {}, DP),
        ({"name": None}, {}, MissingClaim),
        ({"name": None}, {"fagsystem": "DAGPENGER"}, MissingClaim),
        ({"name": "prod:dp:stranger"}, {}, UnknownApplication),
        ({}, {"fagsystem": "AAP"}, DP),
        ({"name": "both"}, {}, BadRequest),
        ({"name": "both"}, {"fagsystem": "TILLEGGSSTØNADER"}, TS),
        ({"name": "both"}, {"fagsystem": "TILLEGGSSTØNADER".encode().decode("latin-1")}, TS),
        ({"name": "both"}, {"fagsystem": "AAP"}, BadRequest),
        ({"name": "both"}, {"fagsystem": "nobody"}, BadRequest),
        ({}, {"fagsystem": "nobody"}, DP),
    ],
)
def test_the_application_decides_the_scheme(claims: dict[str, Any], headers: dict[str, str], outcome: Any) -> None:
    if isinstance(outcome, Scheme):
        assert access().scheme(caller(**claims), headers) is outcome
    else:
        with pytest.raises(outcome):
            access().scheme(caller(**claims), headers)


def test_outside_production_a_header_names_the_scheme_of_whoever_calls() -> None:
    by_header = DecisionAccess(by_header=True)
    stranger = caller("dev:x:azure-token-generator")
    assert by_header.scheme(stranger, {"fagsystem": "aap"}) is AAP
    assert by_header.authority(stranger, AAP, {"fagsystem": "AAP"}).application == "azure-token-generator"
    for wrong in ({}, {"fagsystem": "X"}):
        with pytest.raises(KvittError):
            by_header.scheme(stranger, wrong)
    with pytest.raises(OtherScheme):
        by_header.authority(caller(), DP, {"fagsystem": "AAP"})
    elsewhere, issuer = "postgresql:///kvitt", RestSettings(issuer="https://issuer")
    assert decision_access(Settings()).by_header
    assert not decision_access(Settings(database_url=elsewhere)).by_header
    assert not decision_access(Settings(rest=issuer)).by_header
    assert not decision_access(Settings(rest=RestSettings(scheme_header=False))).by_header
    assert decision_access(Settings(database_url=elsewhere, rest=RestSettings(scheme_header=True))).by_header


def test_texts_of_refusals_are_those_of_the_contract() -> None:
    for name, text in ((None, "missing JWT claim"), ("a:b:x", "mangler mapping mellom appname (x) og fagsystem-enum")):
        with pytest.raises(KvittError, match=re.escape(text)):
            access().scheme(caller(name), {})
    with pytest.raises(OtherScheme, match="dp-mellom har ikke tilgang til AAP"):
        access().authority(caller(), AAP, {})
    with pytest.raises(SystemCallRefused, match="Forsøker å gjøre systemkall fra dp-mellom uten å være godkjent app"):
        access(system_callers=frozenset({"other"})).authority(caller(**MACHINE), DP, {})


def test_only_a_person_of_an_approvers_group_is_an_approver() -> None:
    approver = access().authority(caller(**PERSON, groups=["others", "deciders"]), DP, {})
    assert (approver.approver, approver.opens, approver.frames, approver.person) == (True, True, True, "Z990001")
    for claims in (PERSON, {**PERSON, "groups": ["others"]}, {**MACHINE, "groups": ["deciders"]}, {"groups": ["deciders"]}):
        other = access().authority(caller(**claims), DP, {})
        assert (other.approver, other.opens, other.frames) == (False, False, False)
    lenient = access(approver_opens=False, approver_frames=False).authority(caller(**MACHINE), DP, {})
    assert (lenient.approver, lenient.opens, lenient.frames) == (False, True, True)


def test_single_payments_need_an_approver_where_the_scheme_names_some() -> None:
    named = access(cap_kroner=5000).authority(caller(**MACHINE), DP, {}, single=True)
    assert (named.opens, named.cap_kroner) == (False, 5000)
    unnamed = DecisionAccess({DP: DecisionPolicy(cap_kroner=5000)})
    free = unnamed.authority(caller(**MACHINE), DP, {}, single=True)
    assert (free.opens, free.cap_kroner, free.approver) == (True, None, False)
    assert not unnamed.authority(caller(**MACHINE), DP, {}).opens


def test_system_callers_are_bound_by_the_list_and_persons_are_not() -> None:
    listed, other = (access(system_callers=frozenset({name})) for name in ("dp-mellom", "other"))
    assert listed.authority(caller(**MACHINE), DP, {}).person is None
    assert other.authority(caller(**PERSON), DP, {}).person == "Z990001"
    for claims in (MACHINE, {}):
        with pytest.raises(SystemCallRefused):
            other.authority(caller(**claims), DP, {})
    with pytest.raises(SystemCallRefused):
        access(system_callers=frozenset()).authority(caller(**MACHINE), DP, {})


def test_an_application_looks_at_schemes_that_let_it_call_without_a_person() -> None:
    both = {DP: DecisionPolicy(system_callers=frozenset({"other"})), AAP: DecisionPolicy(system_callers=frozenset({"dp-mellom"}))}
    grants = Grants(schemes={"dp-mellom": [DP, AAP]})
    machine, person = (caller(grants=grants, **claims) for claims in (MACHINE, PERSON))
    assert DecisionAccess(both).schemes(machine, {}) == {AAP}
    assert DecisionAccess(both).schemes(person, {}) == {DP, AAP}
    with pytest.raises(SystemCallRefused):
        DecisionAccess({**both, AAP: both[DP]}).schemes(machine, {})


def test_settings_become_rules_of_schemes() -> None:
    usual = decision_access(Settings()).policies
    assert (usual[DP].cap_kroner, usual[AAP].cap_kroner) == (5000, None)
    assert all(policy.approver_opens and policy.approver_frames and not policy.approver_groups for policy in usual.values())
    given = {
        "DAGPENGER": DecisionSettings(approver_groups=("g",), system_callers=("a",), approver_opens=False, cap_kroner=0, two_people="all")
    }
    rules = decision_access(Settings(decisions=given)).policies[DP]  # type: ignore[arg-type]
    assert (rules.approver_groups, rules.system_callers, rules.approver_opens) == ({"g"}, {"a"}, False)
    assert (rules.cap_kroner, rules.two_people) == (None, TwoPeople.ALL)


@pytest.mark.parametrize("person", [None, "Z990001"])
def test_what_stands_with_a_record_is_the_authority_with_which_it_came(person: str | None) -> None:
    claims = MACHINE if person is None else {**PERSON, "groups": ["deciders"]}
    by = access(cap_kroner=700).authority(caller(**claims), DP, {})
    assert authority_of(by.application, by.person, by.rules(), approver=by.approver) == by
    nothing = authority_of("a", None, {}, approver=False)
    assert (nothing.opens, nothing.frames, nothing.two_people) == (False, False, True)


APPROVER = Authority(application="a", person="Z990001", approver=True, opens=True, frames=True, two_people=True, cap_kroner=5000)
CASEWORKER = Authority(application="a", person="Z990002", two_people=True, cap_kroner=5000)
SYSTEM = Authority(application="a", cap_kroner=5000)


def test_without_an_approver_no_case_is_opened_and_no_frame_moved() -> None:
    assert (refused_opening(APPROVER), refused_frame(APPROVER)) == (None, None)
    for by in (CASEWORKER, SYSTEM):
        assert (refused_opening(by), refused_frame(by)) == (NOT_OPENED, NOT_FRAMED)


@pytest.mark.parametrize(
    ("start", "cap", "first_day", "highest", "refused"),
    [
        (None, None, date(2026, 3, 2), 5000, None),
        (None, None, date(2026, 3, 2), 5001, "Beløp over maksgrensen på 5000 kr per dag"),
        (None, 6000, date(2026, 3, 2), 6000, None),
        (None, 800, date(2026, 3, 2), 801, "Beløp over maksgrensen på 800 kr per dag"),
        (date(2026, 3, 2), None, date(2026, 3, 2), 1, None),
        (date(2026, 3, 2), None, date(2026, 3, 1), 1, "Utbetaling fra 2026-03-01 er før virkningstidspunktet 2026-03-02"),
        (date(2026, 3, 2), 1, None, 0, None),
    ],
)
def test_payments_stay_within_the_frame_unless_an_approver_sends_them(
    start: date | None, cap: int | None, first_day: date | None, highest: int, refused: str | None
) -> None:
    for by in (CASEWORKER, SYSTEM):
        found = refused_outside_frame(by, start, cap, first_day, highest)
        assert (found and (found.status, found.text)) == (refused and (403, f"{refused}{_END[refused.split()[0]]}"))
    assert refused_outside_frame(APPROVER, start, cap, first_day, highest) is None


_END = {"Beløp": " må sendes av en ansatt med beslutter-rolle", "Utbetaling": ", og må sendes av en ansatt med beslutter-rolle"}


def test_nobody_decides_and_attests() -> None:
    for one, other in (("Z990003", "Z990003"), ("z990003", "Z990003 "), ("Straße", "STRASSE")):
        assert refused_one_person(CASEWORKER, one, other) == ONE_PERSON
        assert refused_one_person(SYSTEM, one, other) is None
    assert refused_one_person(CASEWORKER, "Z990002", "Z990003") is None
    assert refused_one_person(APPROVER, "Z990003", "Z990001", as_approver=True) is None
    assert refused_one_person(APPROVER, "z990001", "Z990003", as_approver=True) == SENT_BY_CASEWORKER
    assert refused_one_person(APPROVER, "Z990001", "Z990003") is None
    # Where the rules want no approver, none attests by sending.
    assert refused_one_person(CASEWORKER, "Z990002", "Z990003", as_approver=True) is None


@pytest.mark.parametrize(
    ("rule", "bound"), [(TwoPeople.PERSONS, (True, False)), (TwoPeople.ALL, (True, True)), (TwoPeople.NOBODY, (False, False))]
)
def test_the_rules_say_whose_decisions_need_two_people(rule: TwoPeople, bound: tuple[bool, bool]) -> None:
    made = [access(two_people=rule).authority(caller(**claims), DP, {}) for claims in (PERSON, MACHINE)]
    assert tuple(by.two_people for by in made) == bound
