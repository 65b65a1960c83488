"""`kvitt.testing` as its users have it: the example of its page, each thing that a hub offers, and the plugin in an empty folder."""

import re
import subprocess
import sys
import threading
from datetime import date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

import kvitt.testing
from kvitt.broker_settings import RapidSettings
from kvitt.contracts.helved.topics import STATUSES
from kvitt.formats.topics import PAYOUT_EVENTS, RAPID
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator import ServiceFaults
from kvitt.settings import Settings
from kvitt.testing import DamageForm, Hub
from support.hub_messages import person_of
from support.rail_kits import ToyKit
from support.rapid_messages import PERSON, need
from support.toy_rail import ToyBank

PAGE = (Path(__file__).parents[2] / "docs/testing.md").read_text("utf-8")
PARTIES = (Path(__file__).parents[2] / "examples/parties.toml").read_text("utf-8")
AAP = "aap.utbetaling.v1"


def decision(case: str, amount: int = 500) -> dict[str, object]:
    payment = {
        "id": f"6f6bd6a7-0ab4-4d1e-9d69-{sum(case.encode()):012}",
        "fom": "2026-06-01",
        "tom": "2026-06-12",
        "sats": 1000,
        "utbetaltBeløp": amount,
    }
    head = {"sakId": case, "behandlingId": "B-1", "ident": person_of(case), "vedtakstidspunktet": "2026-06-30T09:15:30"}
    return {**head, "utbetalinger": [payment]}


def statuses(hub: Hub, key: str) -> list[str]:
    return [each.json["status"] for each in hub.published(STATUSES, key)]


def paid(hub: Hub, case: str = "S-1") -> Hub:
    """The hub, after a decision of this case went the whole way."""
    hub.put(AAP, case, decision(case))
    hub.run()
    return hub


def test_the_example_of_the_page_runs_as_it_stands_there() -> None:
    example = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    exec(compile(example, "docs/testing.md", "exec"), {})


def test_the_example_for_pytest_runs_in_an_empty_folder_with_nothing_but_kvitt_installed(tmp_path: Path) -> None:
    example, fixture = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "test_mine.py").write_text(example.partition("with ")[0] + fixture, "utf-8")
    command = [sys.executable, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_each_hub_has_a_database_of_its_own_that_is_gone_afterwards() -> None:
    with kvitt.testing.hub() as one, kvitt.testing.hub() as other:
        paid(one)
        assert statuses(one, "S-1")[-1] == "OK"
        assert other.published(STATUSES) == []
        assert other.sent() == ()
        left = [one.conninfo, other.conninfo]
    with connect(kvitt.testing.shared_server().conninfo) as connection:
        names = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    assert not [each for each in left if each.rpartition("dbname=")[2] in names]


def test_the_same_test_does_the_same_to_the_last_byte() -> None:
    def once() -> object:
        with kvitt.testing.hub() as hub:
            hub.rail.fault(double=0.5, reorder=0.5)
            for number in range(10):
                hub.put(AAP, f"key-{number}", decision(f"S-{number}"))
            hub.run()
            return hub.sent(), [hub.published(topic) for topic in (STATUSES, "helved.utbetalinger.v1", "helved.oppdrag.v1")]

    assert once() == once()


def test_a_test_can_look_between_two_roles(kvitt_hub: Hub) -> None:
    kvitt_hub.put(AAP, "key", decision("S-1"), {"trace": "7"})
    assert kvitt_hub.run("intake") == 1
    assert statuses(kvitt_hub, "key") == []
    assert kvitt_hub.run("relay")
    assert statuses(kvitt_hub, "key") == ["MOTTATT"]
    kvitt_hub.run("sender")
    assert [each.case_id for each in kvitt_hub.sent()] == ["S-1"]
    assert kvitt_hub.rail.received() == ()
    kvitt_hub.run("emulator")
    assert [each.outcome for each in kvitt_hub.rail.received()] == ["accepted"]
    kvitt_hub.run()
    assert statuses(kvitt_hub, "key") == ["MOTTATT", "HOS_OPPDRAG", "OK"]
    seen = kvitt_hub.published(STATUSES)[-1]
    assert (seen.text_key, seen.header("trace")) == ("key", "7")
    kvitt_hub.check()


def test_nobody_sleeps(kvitt_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = threading.Event.wait

    def wait(event: threading.Event, timeout: float | None = None) -> bool:
        assert timeout is None or threading.current_thread() is not threading.main_thread(), "a role sleeps"
        return waits(event, timeout)

    monkeypatch.setattr(threading.Event, "wait", wait)
    assert statuses(paid(kvitt_hub), "S-1")[-1] == "OK"
    assert kvitt_hub.run() == 0


def test_what_nobody_reads_and_who_is_no_role_are_refused(kvitt_hub: Hub) -> None:
    with pytest.raises(ValueError, match=r"does not read nowhere\.v1"):
        kvitt_hub.put("nowhere.v1", "key", {})
    with pytest.raises(ValueError, match="no role is called baker") as refused:
        kvitt_hub.run("baker")
    roles = str(refused.value).partition("there are ")[2].split(", ")
    assert {"intake", "reconciler"} < {*roles}
    for page in (PAGE, Hub.run.__doc__ or ""):
        assert [role for role in roles if not re.search(rf"\b{role}\b", page)] == []


def test_the_rail_swallows_until_it_is_set_otherwise(kvitt_hub: Hub) -> None:
    kvitt_hub.rail.fault(swallow=1)
    paid(kvitt_hub, "S-1")
    paid(kvitt_hub, "S-2")
    assert statuses(kvitt_hub, "S-1")[-1] == "HOS_OPPDRAG"
    assert statuses(kvitt_hub, "S-2")[-1] == "OK"


def test_a_closed_rail_leaves_everything_in_its_queue(kvitt_hub: Hub) -> None:
    kvitt_hub.rail.fault(closed=True)
    paid(kvitt_hub)
    assert len(kvitt_hub.sent()) == 1
    assert kvitt_hub.rail.received() == ()
    kvitt_hub.rail.fault()
    kvitt_hub.run()
    assert statuses(kvitt_hub, "S-1")[-1] == "OK"


def test_a_double_and_damaged_receipt_settles_once(kvitt_hub: Hub) -> None:
    kvitt_hub.rail.fault(double=1.0, damage=1.0, damage_forms=[DamageForm.MISSING_END])
    paid(kvitt_hub)
    assert statuses(kvitt_hub, "S-1") == ["MOTTATT", "HOS_OPPDRAG", "OK"]
    kvitt_hub.check()


@pytest.mark.parametrize("severity", ["08", "12", "77", ""])
def test_a_refusal_of_any_severity_is_reported_with_its_text(kvitt_hub: Hub, severity: str) -> None:
    kvitt_hub.rail.fault(refuse=1, severity=severity, text="Ikke i dag")
    paid(kvitt_hub)
    final = kvitt_hub.published(STATUSES, "S-1")[-1].json
    assert final["status"] == "FEILET"
    assert "Ikke i dag" in final["error"]["msg"]
    kvitt_hub.check()


def test_an_answer_of_the_tests_own_is_settled_like_any(kvitt_hub: Hub) -> None:
    kvitt_hub.rail.fault(swallow=1)
    (order,) = paid(kvitt_hub).sent()
    head, tag, rest = order.message.partition(b'oppdrag">')
    kvitt_hub.rail.reply(head + tag + b"<mmel><alvorlighetsgrad>04</alvorlighetsgrad></mmel>" + rest)
    kvitt_hub.run()
    assert statuses(kvitt_hub, "S-1")[-1] == "OK"


def test_the_clock_goes_where_it_is_set(kvitt_hub: Hub) -> None:
    moment = datetime.fromisoformat("2027-01-02T10:00:00+01:00")
    kvitt_hub.clock.set(moment)
    at = paid(kvitt_hub).published(STATUSES, "S-1")[0].at
    assert moment < at < moment + timedelta(seconds=1)
    with pytest.raises(ValueError, match="no time zone"):
        kvitt_hub.clock.set(datetime(2027, 1, 2))  # noqa: DTZ001 - the point


def test_what_was_changed_behind_the_hubs_back_is_found(kvitt_hub: Hub) -> None:
    paid(kvitt_hub).check()
    kvitt_hub.connection.execute("DELETE FROM order_lines")
    assert kvitt_hub.findings()
    with pytest.raises(kvitt.testing.Differs):
        kvitt_hub.check()


def test_a_role_that_fails_says_so_and_begins_anew(kvitt_hub: Hub) -> None:
    kvitt_hub.put(AAP, "key", decision("S-1"))
    kvitt_hub.run("intake")
    kvitt_hub.connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kvitt submit'")
    kvitt_hub.put(AAP, "key-2", decision("S-2"))
    with pytest.raises(Exception, match="terminating connection"):
        kvitt_hub.run()
    kvitt_hub.run()
    assert [statuses(kvitt_hub, key)[-1] for key in ("key", "key-2")] == ["OK", "OK"]
    kvitt_hub.check()


def test_a_case_that_somebody_has_locked_waits_and_the_others_go_on(kvitt_hub: Hub) -> None:
    paid(kvitt_hub, "S-1")
    with connect(kvitt_hub.conninfo) as stranger, stranger.transaction():
        stranger.execute("SELECT FROM cases WHERE case_id = 'S-1' FOR UPDATE")
        kvitt_hub.put(AAP, "again", decision("S-1", 600))
        paid(kvitt_hub, "S-2")
        assert statuses(kvitt_hub, "S-2")[-1] == "OK"
        assert statuses(kvitt_hub, "again") == []
    kvitt_hub.run()
    assert statuses(kvitt_hub, "again")[-1] == "OK"


def test_the_rapid_is_heard_and_what_others_say_there_is_not_taken_for_ours(kvitt_hub: Hub) -> None:
    place = kvitt_hub.put(RAPID, "key", {"@event_name": "noe annet"})
    assert (place.topic, place.position) == (RAPID, 0)
    kvitt_hub.run()
    assert kvitt_hub.published(RAPID) == []


def test_a_need_is_answered_and_what_was_forwarded_is_no_difference(kvitt_hub: Hub) -> None:
    kvitt_hub.put(RAPID, PERSON, need())
    kvitt_hub.run()
    said = [each.json["@løsning"]["Utbetaling"]["status"] for each in kvitt_hub.published(RAPID) if "@løsning" in each.json]
    assert said == ["MOTTATT", "OVERFØRT", "AKSEPTERT"]
    kvitt_hub.check()


def test_settings_are_those_of_the_test() -> None:
    settings = Settings(rapid=RapidSettings(answer_invalid_needs=False), max_batch=1)
    with kvitt.testing.hub(settings=settings) as hub:
        assert hub.settings.rapid.answer_invalid_needs is False
        assert hub.settings.database_url == hub.conninfo
        assert statuses(paid(hub), "S-1")[-1] == "OK"


def test_payouts_go_in_by_rest_and_thrift_and_come_out_as_events(kvitt_hub: Hub) -> None:
    kvitt_hub.load_parties(PARTIES)
    with kvitt_hub.rest.client() as client:
        asked = {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 1, "currency": "RUB"}}
        refused = client.post("/payouts", json=asked)
        assert refused.json()["code"] == "insufficient_funds"
        accounts = {each["description"]: each["account_id"] for each in client.get("/accounts", params={"limit": 1000}).json()["accounts"]}
        source, shop = accounts["house/RUB/provider_settlement"], accounts["party/party-1/shop-1/settlement"]
        posting = {"source": source, "target": shop, "amount": 1_000_000, "currency": "RUB", "description": "sales"}
        batch = {"batch_id": 1, "postings": [posting]}
        assert client.post("/plans/sales/hold", json={"batch": batch}).status_code == 200
        assert client.post("/plans/sales/commit", json={"batches": [batch]}).status_code == 200
        made = client.post("/payouts", json={**asked, "cash": {"amount": 500_000, "currency": "RUB"}})
        assert made.status_code == 201, made.text
    payout_id = made.json()["payout_id"]
    with kvitt_hub.thrift.client("/payout/management", "payouts", "PayoutManagement") as client:
        assert client.GetPayout(payout_id).payout_id == payout_id
        client.ConfirmPayout(payout_id)
    kvitt_hub.run()
    assert len(kvitt_hub.published(PAYOUT_EVENTS, payout_id)) == 2
    kvitt_hub.check()


def test_a_token_allows_what_it_says_and_no_more(kvitt_hub: Hub) -> None:
    with kvitt_hub.rest.client("payouts:read") as client:
        assert client.get("/payouts").status_code == 200
        assert client.get("/accounts").status_code == 403


def test_orders_on_another_rail_are_seen_one_by_one_and_are_none_of_the_emulators(database: str) -> None:
    """Two orders share a file to the toy rail; once it has accepted them, the emulator's books are not asked about them."""
    with kvitt.testing.hub(conninfo=database, ports=ToyKit.ports_of_hub()) as hub:
        for case in ("S-1", "S-2"):
            hub.put(AAP, case, decision(case))
        hub.run()
        sent = sorted(hub.sent(), key=lambda each: each.case_id)
        assert [(each.area, each.case_id, each.person) for each in sent] == [("AAP", case, person_of(case)) for case in ("S-1", "S-2")]
        assert [each.message.split(b" ")[1].decode() for each in sent] == [each.order_id for each in sent]
        hub.rail.reply(ToyBank().answer(b"\n".join(each.message for each in sent)), rail="toy")
        hub.run()
        assert [statuses(hub, case)[-1] for case in ("S-1", "S-2")] == ["OK", "OK"]
        hub.check()


def test_the_rail_pays_what_the_hub_sent_and_simulates_beside_it(kvitt_hub: Hub) -> None:
    paid(kvitt_hub, "S-1")
    run = kvitt_hub.rail.pay()
    assert (run.day, run.cases) == (date(2026, 7, 2), 1)
    (row,) = kvitt_hub.rail.paid("AAP", "S-1")
    assert (row.run_day, row.row_type, row.amount) == (run.day, "YTEL", run.paid_kroner)
    kvitt_hub.rail.simulation(faults=ServiceFaults(closed=True))
    with httpx.Client(base_url=kvitt_hub.simulation_url, trust_env=False) as http:
        assert http.post("/simulerFpServiceWSBinding").status_code == HTTPStatus.BAD_GATEWAY
    assert [each.outcome for each in kvitt_hub.rail.simulated()] == ["closed"]
    assert kvitt_hub.rail.violations() == ()
