"""Chains of decisions that went on as single payments: what is shown of them is what may be put back, and ceased (iverksetting §8.1)."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from kvitt.disbursement.values import Scheme
from kvitt.testing import TestServer
from support.iverksetting_bodies import Body, days, person_of, v2
from support.iverksetting_stage import V2, DecisionSite, decision_site

TS = Scheme.TILLEGGSSTONADER
SATURDAY = 5
_numbers = count(1)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionSite]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    directory: Path = tmp_path_factory.mktemp("moved")
    with kvitt_server.database() as conninfo, decision_site(conninfo, directory) as site:
        yield site
        assert site.hub.findings() == []


@pytest.mark.parametrize(
    ("spans", "left"),
    [
        ([days("2026-05-04", "2026-05-10")], ("2026-05-04", "2026-05-08")),
        ([days("2026-05-03", "2026-05-04")], ("2026-05-04", "2026-05-04")),
        ([days("2026-05-04", "2026-05-09"), days("2026-05-10", "2026-05-15")], ("2026-05-04", "2026-05-15")),
        ([days("2026-05-04", "2026-05-09"), days("2026-05-10", "2026-05-15", 700)], ("2026-05-04", "2026-05-15")),
        ([days("2026-05-04", "2026-05-08"), days("2026-05-09", "2026-05-10", 700)], ("2026-05-04", "2026-05-08")),
        ([days("2026-05-04", "2026-05-10", rate="DAGLIG_INKL_HELG")], ("2026-05-04", "2026-05-10")),
        ([days("2026-05-01", "2026-06-30", rate="MÅNEDLIG")], ("2026-05-01", "2026-06-30")),
    ],
)
def test_what_moved_is_put_back_without_a_change_and_ceased_as_it_is_shown(
    site: DecisionSite, spans: list[Body], left: tuple[str, str]
) -> None:
    number = next(_numbers)
    uid, person = str(UUID(int=0x6666 << 96 | 0x4 << 76 | 0x8 << 60 | number)), person_of(number)
    case, headers = f"W-{number}", {**site.headers(TS), "content-type": "application/json"}
    site.take(v2(case, "B1", spans, personident=person))
    site.hub.run()
    asked = {"sakId": case, "behandlingId": "B1", "uidToStønad": {"first": uid, "second": "TILSYN_BARN_AAP"}}
    assert site.post(asked, path=f"{V2}/migrate").status_code == 200
    shown = site.client.get(f"/utbetalinger/{uid}", headers=headers)
    periods = shown.json()["perioder"]
    assert (periods[0]["fom"], periods[-1]["tom"]) == left
    again = site.client.put(f"/utbetalinger/{uid}", content=shown.content, headers=headers)
    assert (again.status_code, again.json()["msg"]) == (409, "Ingen reell endring")
    assert site.client.request("DELETE", f"/utbetalinger/{uid}", content=shown.content, headers=headers).status_code == 204
    site.hub.run()
    assert site.client.get(f"/utbetalinger/{uid}/status", headers=headers).json() == "OK"
    # A weekend before the first day may be left of the line; by weekday it pays nothing.
    assert [each for each in site.hub.rail.pays("TILLST", case) if each.start.weekday() < SATURDAY or each.rate_code != "DAG"] == []
