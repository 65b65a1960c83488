"""`kvitt run --roles payouts,ledger,relay` as a process: both protocols, events on the log, and payouts on another kvitt's ledger."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from brokers.broker import free_port

from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import decode_event
from kvitt.kernel.database import connect
from support.patience import PATIENCE_SECONDS, until
from support.rest_stage import ALL, AUDIENCE, EXAMPLE, earn
from support.thrift_stage import thriftpy_client

TYPES: Any = module("payouts")
MONEY: Any = module("money")
TOPIC = "pm-events-payout"


@contextmanager
def running(directory: Path, database: str, roles: str, *more: str) -> Iterator[tuple[str, str]]:
    """A process with these roles, and its addresses for Thrift and REST; it must end well when it is asked to."""
    woody, rest = free_port(), free_port()
    config = directory / f"{roles.replace(',', '-')}.toml"
    lines = [
        f'database_url = "{database}"',
        f'data = "{directory}"',
        "[ops]",
        "port = 0",
        "[thrift]",
        f"port = {woody}",
        "[rest]",
        f"port = {rest}",
    ]
    config.write_text("\n".join([*lines, *more]), "utf-8")
    command = [sys.executable, "-c", "from kvitt.app.main import main; main()", "run", "--config", str(config), "--roles", roles]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "KVITT_LOG_LEVEL": "info"})
    try:
        until(lambda: _answers(rest), what="the APIs do not open")
        yield f"http://127.0.0.1:{woody}", f"http://127.0.0.1:{rest}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, (directory / "log").read_text("utf-8")[-2000:]
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").status_code == 401
    except httpx.HTTPError:
        return False


def params(payout_id: str, amount: int = 100_000) -> Any:
    cash = MONEY.Cash(amount=amount, currency=MONEY.CurrencyRef(symbolic_code="RUB"))
    shop = TYPES.ShopParams(party_id="party-1", shop_id="shop-1")
    return TYPES.PayoutParams(shop_params=shop, cash=cash, payout_id=payout_id)


def heard(connection: psycopg.Connection[Any], key: str) -> list[Any]:
    """The events of a payout on the embedded log."""
    query = "SELECT value FROM log_records WHERE topic = %s AND key = %s ORDER BY partition, position"
    return [decode_event(bytes(row[0]), TYPES.Event, "payouts") for row in connection.execute(query, (TOPIC, key.encode()))]


def test_one_process_pays_out_over_both_protocols_and_tells_the_log(database: str, tmp_path: Path) -> None:
    earn(database)
    with running(tmp_path, database, "payouts,ledger,relay") as (woody, rest), connect(database) as connection:
        with thriftpy_client(f"{woody}/payout/management", "payouts", "PayoutManagement") as client:
            client.CreatePayout(params("p-1"))
            client.ConfirmPayout("p-1")
        token = LocalIssuer(tmp_path).token("tests", ALL, AUDIENCE, timedelta(hours=1))
        with httpx.Client(base_url=rest, headers={"authorization": f"Bearer {token}"}) as caller:
            assert caller.get("/payouts/p-1").json()["status"] == "confirmed"
            assert caller.post("/payouts/p-1/cancel", json={"details": "back"}).json()["status"] == "cancelled"
        until(lambda: len(heard(connection, "p-1")) == 3, what="the events are not on the log")
        assert [event.sequence_id for event in heard(connection, "p-1")] == [0, 1, 2]
    assert check(database, PORTS).differences == ()


def test_payouts_of_one_kvitt_are_held_in_the_ledger_of_another(database: str, empty_database: str, tmp_path: Path) -> None:
    from kvitt.kernel.migrate import upgrade

    upgrade(empty_database)
    earn(database)
    accounts = _example_with_accounts(database)
    with running(tmp_path, database, "ledger", "[payouts]\nplans_of_others = true") as (ledger, _):
        (tmp_path / "parties.toml").write_text(accounts, "utf-8")
        other = f'[payouts]\nledger_url = "{ledger}/accounter"'
        with running(tmp_path, empty_database, "payouts,relay", other) as (woody, _):
            _load_elsewhere(empty_database, accounts)
            with thriftpy_client(f"{woody}/payout/management", "payouts", "PayoutManagement") as client:
                made = client.CreatePayout(params("far"))
                assert made.status.unpaid is not None
                assert _plan(database, "payout_far") == "held"
                client.ConfirmPayout("far")
                assert _plan(database, "payout_far") == "committed"
                client.CancelPayout("far", "back")
                assert _plan(database, "revert_payout_far") == "committed"
                with pytest.raises(TYPES.InsufficientFunds):
                    client.CreatePayout(params("poor", 10**12))
                assert _plan(database, "payout_poor") == "rolled back"
                assert client.CreatePayout(params("poor")).payout_id == "poor"
                assert _plan(database, "p2_poor") == "held"
    for each in (database, empty_database):
        assert check(each, PORTS).differences == ()


def _plan(database: str, plan_id: str) -> str:
    with connect(database) as connection:
        row = connection.execute("SELECT state FROM ledger.plans WHERE plan_id = %s", (plan_id,)).fetchone()
    return str(row[0]) if row else "not there"


def _example_with_accounts(database: str) -> str:
    """The example with the accounts that the ledger on this database has for it, as another installation would name them."""
    with connect(database) as connection:
        rows: Any = connection.execute("SELECT document FROM parties.parties").fetchall()
        houses: Any = connection.execute("SELECT document FROM parties.house ORDER BY currency").fetchall()
    shops = {shop["id"]: shop["accounts"] for shop in json.loads(bytes(rows[0][0]))["shops"]}
    text = EXAMPLE
    for shop, accounts in shops.items():
        named = ", ".join(f"{name} = {account_id}" for name, account_id in accounts.items())
        text = text.replace(f'id = "{shop}"', f'id = "{shop}"\naccounts = {{ {named} }}')
    for (document,) in houses:
        named = "\n".join(f"{name} = {json.dumps(value)}" for name, value in json.loads(bytes(document)).items())
        text += f"\n[[house]]\n{named}\n"
    return text


def _load_elsewhere(database: str, text: str) -> None:
    """Loads a directory whose accounts are another ledger's: this one does not have them."""
    from kvitt.kernel.clock import utc_now
    from kvitt.payouts.directory import load_directory
    from kvitt.payouts.directory_file import read_directory

    with connect(database) as connection:
        load_directory(connection, utc_now, read_directory(text), own_ledger=False)


def test_calls_are_counted_by_api_method_and_outcome_without_ids(database: str, tmp_path: Path) -> None:
    earn(database)
    with running(tmp_path, database, "payouts,ledger") as (woody, rest):
        with thriftpy_client(f"{woody}/payout/management", "payouts", "PayoutManagement") as client:
            client.CreatePayout(params("counted"))
            with pytest.raises(TYPES.NotFound):
                client.GetPayout("secret-id")
        token = LocalIssuer(tmp_path).token("tests", ALL, AUDIENCE, timedelta(hours=1))
        httpx.get(f"{rest}/payouts/counted", headers={"authorization": f"Bearer {token}"})
        httpx.get(f"{rest}/payouts/counted")
        text = httpx.get(_metrics_of(tmp_path)).text
    assert 'kvitt_calls_total{api="thrift",method="CreatePayout",outcome="success"} 1.0' in text
    assert 'kvitt_calls_total{api="thrift",method="GetPayout",outcome="business error"} 1.0' in text
    assert 'kvitt_calls_total{api="rest",method="GET /payouts/{payout_id}",outcome="2xx"} 1.0' in text
    assert 'api="rest",method="none",outcome="4xx"' in text
    assert "secret-id" not in text + (tmp_path / "log").read_text("utf-8")


def _metrics_of(directory: Path) -> str:
    lines = (directory / "log").read_text("utf-8").splitlines()
    (url,) = [json.loads(line)["url"] for line in lines if '"health and metrics"' in line]
    return f"{url}/metrics"
