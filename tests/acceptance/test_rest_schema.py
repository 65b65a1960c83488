"""The REST API keeps its own description: whatever requests are made from it, the answers are those that it names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from kvitt.api.rest.local_issuer import Behind
from kvitt.disbursement.values import Scheme
from support.rest_stage import ALL, Site, earn, rest_site
from support.tried import tried

OPERATIONS = 49
BODY_TOO_LONG, ADDRESS_TOO_LONG, GIVEN_UP, NOT_MOVED, NOT_IN_TIME = 413, 414, 408, 501, 503
SIMULATIONS = "/api/simulering"
DECISIONS, OF_LONG, OF_OTHERS = ("/api/iverksetting", "/utbetalinger", "/api/dryrun", "/api/simulering/v"), 4, 12
CONSISTENCY, REFUSED = ("/api/v2/konsistensavstemming", "/api/konsistensavstemming"), 500
PLANS = "/plans"
LONG = (*DECISIONS, *CONSISTENCY, PLANS)
"""Their bodies take long to make up; of those that are nearly right there are thousands elsewhere."""
NOT_HERE = [
    ignored_auth,  # takes the token away in vain; a test of its own asks every route without one
    positive_data_acceptance,  # no description can say which cursors were given out, and which accounts there are
]


class Requests:
    """The operations of the description with requests to each, made up once for all who send them: nothing here costs more."""

    def __init__(self, site: Site) -> None:
        self.site, self._made = site, dict[tuple[str, GenerationMode], list[Case]]()
        schema = schemathesis.openapi.from_url(f"{site.url}/schema/openapi.json", headers=_headers(site.token(*ALL)))
        self.operations = [result.ok() for result in schema.get_all_operations()]
        assert len(self.operations) == OPERATIONS

    def to(self, operation: APIOperation, mode: GenerationMode) -> Sequence[Case]:
        if (operation.label, mode) not in self._made:
            examples = OF_LONG if operation.path.startswith(LONG) else OF_OTHERS
            self._made[operation.label, mode] = _made_up(operation.as_strategy(generation_mode=mode), examples)
        return self._made[operation.label, mode]


def _made_up(strategy: st.SearchStrategy[Case], examples: int) -> list[Case]:
    made: list[Case] = []

    @settings(tried(examples), phases=[Phase.generate])
    @given(strategy)
    def make_up(case: Case) -> None:
        made.append(case)

    make_up()
    return made


@pytest.fixture(scope="module")
def requests_made(ledger_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Requests]:
    earn(ledger_database)
    with rest_site(ledger_database, Path(tmp_path_factory.mktemp("issuer")), call_seconds=0.05) as site:
        yield Requests(site)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_that_the_description_has(requests_made: Requests, mode: GenerationMode) -> None:
    """Requests that the description allows, and such that it does not: all are answered as it says."""
    _answers_are_described(requests_made, requests_made.site.token(*ALL), mode)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("scheme", [Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER])
def test_what_an_approver_is_answered_is_described(requests_made: Requests, mode: GenerationMode, scheme: Scheme) -> None:
    """An approver of one scheme comes to the body of decisions and payments, where an application of several must say more."""
    approver = Behind(person="Z990001", approver_of=[scheme])
    token = requests_made.site.hub.rest.token(application="prod:team:approvers", schemes=[scheme], behind=approver)
    _answers_are_described(requests_made, token, mode, only=DECISIONS)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_what_people_are_answered_about_approvals_is_described(requests_made: Requests, mode: GenerationMode) -> None:
    """Applications by themselves are refused; people who may approve come to the approvals."""
    token = requests_made.site.hub.rest.token(behind=Behind(person="Z990001", groups=["approve"]))
    _answers_are_described(requests_made, token, mode, only=("/approvals",))


def _headers(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _answers_are_described(made: Requests, token: str, mode: GenerationMode, *, only: tuple[str, ...] = ("/",)) -> None:
    for operation in made.operations:
        if not operation.path.startswith(only):
            continue
        with requests.Session() as session:
            # Else proxies and passwords are looked for before every request.
            session.trust_env = False
            for case in made.to(operation, mode):
                _is_described(case, session, _headers(token))


def _is_described(case: Case, session: requests.Session, headers: dict[str, str]) -> None:
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
