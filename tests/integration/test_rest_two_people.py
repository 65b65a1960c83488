"""What takes two people is done by nobody whom only a group lets in; applications answer for their own people."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kvitt.api.rest.callers import Permission
from kvitt.settings import RestSettings
from support.issuer import AUDIENCE, ISSUER, Issuer
from support.rest_stage import Site, earn, rest_site

GROUP = "payers"
WRITES = (Permission.PAYOUTS_READ, Permission.PAYOUTS_WRITE, Permission.LEDGER_WRITE, Permission.RECONCILIATION_WRITE)
BODY = {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 100_000, "currency": "RUB"}}
RANGE = {"fagområder": ["AAP"], "fom": "2026-06-29", "tom": "2026-06-29"}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer") / "jwks.json")


@pytest.fixture(scope="module")
def site(ledger_database: str, tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Site]:
    earn(ledger_database)
    given = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": issuer.file}
    settings = RestSettings(**given, groups={GROUP: WRITES}, applications={"shop-admin": WRITES})
    with rest_site(ledger_database, tmp_path_factory.mktemp("data"), settings=settings) as made:
        yield made


def client_of(site: Site, issuer: Issuer, application: str) -> httpx.Client:
    """Somebody of the group, at an application."""
    token = issuer.token(azp=application, sub="kari", groups=[GROUP])
    return httpx.Client(base_url=site.url, headers={"authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def person(site: Site, issuer: Issuer) -> Iterator[httpx.Client]:
    """Somebody who may write, by a group alone."""
    with client_of(site, issuer, "a-tool") as client:
        yield client


@pytest.fixture(scope="module")
def payout(person: httpx.Client) -> str:
    """A payout that this person has asked for, which takes one."""
    made = person.post("/payouts", json=BODY)
    assert made.status_code == 201
    return str(made.json()["payout_id"])


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("payout confirm", "/payouts/{payout}/confirm", {}),
    ("payout cancel", "/payouts/{payout}/cancel", {"details": "the bank said no"}),
    ("ledger transfer", "/plans/plan-1/hold", {"batch_id": 1, "postings": []}),
    ("ledger transfer", "/plans/plan-1/commit", {}),
    ("ledger transfer", "/plans/plan-1/rollback", {}),
    ("reconcile run", "/api/avstem", RANGE),
    ("reconcile run", "/intern/avstemming/start/AAP", {}),
]


@pytest.mark.parametrize(("act", "path", "body"), CALLS, ids=[path for _, path, _ in CALLS])
def test_a_person_does_not_do_alone_what_takes_two(person: httpx.Client, payout: str, act: str, path: str, body: dict[str, Any]) -> None:
    answer = person.post(path.format(payout=payout), json=body)
    assert (answer.status_code, answer.json()["type"].rpartition("#")[2]) == (403, "needs-second-person")
    assert f"{act} takes two people" in answer.json()["detail"]
    assert person.get(f"/payouts/{payout}").json()["status"] == "unpaid"


def test_an_application_answers_for_its_own_people(site: Site, issuer: Issuer, payout: str) -> None:
    with client_of(site, issuer, "shop-admin") as client:
        assert client.post(f"/payouts/{payout}/confirm").json()["status"] == "confirmed"
