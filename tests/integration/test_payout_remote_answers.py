"""What callers hear of payouts over another's ledger, where our own database is in trouble once the ledger has done its part."""

from collections.abc import Iterator

import pytest

from kvitt.payouts.rules import PayoutStatus
from kvitt.testing import TestServer
from support.payout_remote_stage import RemoteStage, remote_stage
from support.payout_stage import wanted


@pytest.fixture
def stage(kvitt_server: TestServer, database: str) -> Iterator[RemoteStage]:
    with kvitt_server.database() as other, remote_stage(database, other) as stage:
        yield stage


def test_what_was_done_is_told_though_nobody_new_is_let_into_the_database(stage: RemoteStage) -> None:
    """A caller who heard that the database is away would take it that nothing was done."""
    stage.payouts.create(wanted())
    allow = f"ALTER DATABASE {stage.connection.info.dbname} ALLOW_CONNECTIONS"
    stage.ledger.after_next = lambda: stage.ledger.connection.execute(f"{allow} false")
    try:
        assert stage.payouts.confirm("p-1").status is PayoutStatus.CONFIRMED
    finally:
        stage.ledger.connection.execute(f"{allow} true")
    assert stage.totals()[0] == (3995, 3995, 3995)
