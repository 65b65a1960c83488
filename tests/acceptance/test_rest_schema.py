"""The REST API keeps its own description: whatever requests are made from it, the answers are those that it names."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from kvitt.api.rest.local_issuer import Behind
from kvitt.disbursement.values import Scheme
from support.rest_stage import ALL, Site, earn, rest_site
from support.tried import tried

OPERATIONS = 45
BODY_TOO_LONG, ADDRESS_TOO_LONG, GIVEN_UP, NOT_MOVED, NOT_IN_TIME = 413, 414, 408, 501, 503
SIMULATIONS = "/api/simulering"
DECISIONS, OF_LONG, OF_OTHERS = ("/api/iverksetting", "/utbetalinger", "/api/dryrun", "/api/simulering/v"), 6, 25
CONSISTENCY, REFUSED = ("/api/v2/konsistensavstemming", "/api/konsistensavstemming"), 500
PLANS = "/plans"
LONG = (*DECISIONS, *CONSISTENCY, PLANS)
"""Their bodies take long to make up; of those that are nearly right there are thousands elsewhere."""
NOT_HERE = [
    ignored_auth,  # takes the token away in vain; a test of its own asks every route without one
    positive_data_acceptance,  # no description can say which cursors were given out, and which accounts there are
]


@pytest.fixture(scope="module")
def site(ledger_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    earn(ledger_database)
    with rest_site(ledger_database, Path(tmp_path_factory.mktemp("issuer")), call_seconds=0.05) as made:
        yield made


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_that_the_description_has(site: Site, mode: GenerationMode) -> None:
    """Requests that the description allows, and such that it does not: all are answered as it says."""
    _answers_are_described(site, site.token(*ALL), mode)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("scheme", [Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER])
def test_what_an_approver_is_answered_is_described(site: Site, mode: GenerationMode, scheme: Scheme) -> None:
    """An approver of one scheme comes to the body of decisions and payments, where an application of several must say more."""
    approver = Behind(person="Z990001", approver_of=[scheme])
    token = site.hub.rest.token(application="prod:team:approvers", schemes=[scheme], behind=approver)
    _answers_are_described(site, token, mode, only=DECISIONS)


def _answers_are_described(site: Site, token: str, mode: GenerationMode, *, only: tuple[str, ...] = ("/",)) -> None:
    headers = {"authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_url(f"{site.url}/schema/openapi.json", headers=headers)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == OPERATIONS
    for operation in operations:
        if not operation.path.startswith(only):
            continue
        strategy: st.SearchStrategy[Case] = operation.as_strategy(generation_mode=mode)
        _holds(strategy, headers, OF_LONG if operation.path.startswith(LONG) else OF_OTHERS)


def _holds(strategy: st.SearchStrategy[Case], headers: dict[str, str], examples: int) -> None:
    @settings(tried(examples), phases=[Phase.generate])
    @given(strategy)
    def holds(case: Case) -> None:
        response = case.call(session=session, headers=headers)
        if response.status_code == ADDRESS_TOO_LONG:
            # That is refused before there is an operation.
            return
        # Too long a body is refused before anybody looks what is in it.
        unread = [negative_data_rejection] if response.status_code == BODY_TOO_LONG else []
        # These callers wait a twentieth of a second: on a busy machine nobody has looked at the body by then.
        if case.path.startswith(DECISIONS[-2:]) and response.status_code == GIVEN_UP:
            unread = [negative_data_rejection]
        # Nobody asks the rail here, and the description says what is answered then.
        if case.path == SIMULATIONS and response.status_code == NOT_IN_TIME:
            unread = [not_a_server_error]
        # Callers of this path know every refusal by that status.
        if case.path in CONSISTENCY and response.status_code == REFUSED:
            unread = [not_a_server_error]
        # Cases of most schemes are not moved, which earlier callers know by that status.
        if "/migrate" in case.path and response.status_code == NOT_MOVED:
            unread = [not_a_server_error]
        case.validate_response(response, headers=headers, excluded_checks=[*NOT_HERE, *unread])

    with requests.Session() as session:
        # Else proxies and passwords are looked for before every request.
        session.trust_env = False
        holds()
