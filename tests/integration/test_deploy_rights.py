"""The rights that the deployment guide gives the role of PostgreSQL are enough for a hub, and no more than that."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

import kvitt
from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.app.hub import HubProcess
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.operators import Operator
from kvitt.ops.readiness import Condition
from kvitt.settings import Settings
from support.hub_messages import aap
from support.hub_stage import staged
from support.patience import PATIENCE_SECONDS, until
from support.rest_stage import ALL, AUDIENCE, earn

GRANTS = (Path(__file__).parents[2] / "examples/deploy/grants.sql").read_text("utf-8")


@pytest.fixture
def limited(unused_database: str) -> Iterator[str]:
    """A database in which everyone who connects is a role with the rights of the guide."""
    role, name = sql.Identifier(f"kvitt_{uuid4().hex[:8]}"), sql.Identifier(str(conninfo_to_dict(unused_database)["dbname"]))
    with connect(unused_database) as owner:
        owner.execute(sql.SQL("CREATE ROLE {}").format(role))
        owner.execute(
            GRANTS.replace(" TO kvitt;", f" TO {role.as_string(owner)};")
            .replace(" FROM kvitt;", f" FROM {role.as_string(owner)};")
            .encode()
        )
        owner.execute(sql.SQL("ALTER DATABASE {} SET role = {}").format(name, role))
        yield unused_database
        owner.execute(sql.SQL("ALTER DATABASE {} RESET role").format(name))
        owner.execute(sql.SQL("DROP OWNED BY {}").format(role))
        owner.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_hub_does_all_of_its_work_with_them(limited: str, tmp_path: Path) -> None:
    hub = HubProcess(limited, Settings(data=tmp_path))
    hub.start()
    try:
        until(lambda: all(state.condition is Condition.WORKS for state in hub.board.states()), what="a role lacks a right")
        earn(limited)
        assert hub.apis is not None
        token = LocalIssuer(tmp_path).token("tests", ALL, AUDIENCE, timedelta(hours=1))
        with httpx.Client(
            base_url=hub.apis.addresses.rest.url, headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE_SECONDS
        ) as caller:
            body = {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 10_000, "currency": "RUB"}}
            made = caller.post("/payouts", json=body, headers={"idempotency-key": "once"}).json()
            for step, details in (("confirm", None), ("cancel", {"details": "back"})):
                answer = caller.post(f"/payouts/{made['payout_id']}/{step}", json=details)
                assert answer.status_code == 200, answer.text
    finally:
        hub.stop()
    with staged(limited) as stage:
        stage.hand_in(Scheme.AAP, *((f"k{number}", aap(f"S{number}")) for number in range(3)))
        stage.finish()
        assert stage.said("k0") == ["MOTTATT", "HOS_OPPDRAG", "OK"]
        operate = Operate(stage.connection, stage.clock, PORTS)
        operate.stop(["*"], Operator("kari", "the rail is being moved"))
        assert operate.resume(["*"], Operator("kari", "the rail is back")) == ["*"]
    assert not check(limited, PORTS).differences


def test_what_statements_delete_from_may_be_deleted_from(limited: str) -> None:
    files = [file.read_text("utf-8") for file in Path(kvitt.__file__).parent.rglob("*.sql") if "migrations" not in file.parts]
    tables = {table for text in files for table in re.findall(r"DELETE FROM ([a-z_.]+)", text) if not table.startswith("rail.")}
    with connect(limited) as connection:
        may = {table for table in tables if fetch_value(connection, "SELECT has_table_privilege(%s, 'DELETE')", [table])}
    assert tables - may == set()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM orders",
        "DELETE FROM audit",
        "TRUNCATE outbox",
        "DROP TABLE cases",
        "UPDATE migrations SET version_num = '0001'",
        "UPDATE ledger.postings SET amount = 0",
        "DELETE FROM ledger.entries",
        "UPDATE payouts.events SET status = 'paid'",
        "DELETE FROM payouts.payouts",
    ],
)
def test_they_let_nobody_remove_what_was(limited: str, statement: str) -> None:
    with connect(limited) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())
