"""`kvitt submit --dry-run` tells what the real way would: refusals with their reasons, what an order would be held for, every amount."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.preview import Preview, preview
from kvitt.disbursement.refusals import unchangeable
from kvitt.disbursement.values import Scheme
from support.hub_messages import aap, dp, payment_uid, text, ts, ts_payment
from support.hub_stage import Stage, staged

AAP, TS, DP = Scheme.AAP, Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


def seen(stage: Stage, scheme: Scheme, body: object) -> Preview:
    return preview(stage.connection, PORTS, scheme, b"key", text(body), now=stage.clock())


def page(stage: Stage, scheme: str, body: bytes, tmp_path: Path, *, columns: int = 80) -> str:
    file = tmp_path / "message.json"
    file.write_bytes(body)
    arguments = ["submit", str(file), "--scheme", scheme, "--dry-run", "--database", stage.conninfo, "--data", str(tmp_path)]
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(main, arguments).output


def test_a_payment_of_another_case_is_refused_for_a_case_that_is_not_known_yet(stage: Stage) -> None:
    stage.hand_in(AAP, ("k", aap("A")))
    stage.finish()
    found = seen(stage, AAP, aap("new", uid=payment_uid("A")))
    assert found.refusal == unchangeable("sakId")
    assert (found.orders, found.case_id) == ((), "new")


def test_the_reason_of_an_unreadable_message_is_the_one_of_the_real_answer(stage: Stage, tmp_path: Path) -> None:
    body = text({**dp("A"), "utbetalinger": 7})
    stage.hand_in(DP, ("k", body))
    (headers,) = stage.bytes("SELECT headers FROM outbox")
    reason = dict(json.loads(headers))["reason"]
    assert preview(stage.connection, PORTS, DP, b"k", body, now=stage.clock()).reason == reason
    assert f"({reason})" in page(stage, "dp", body, tmp_path)


def test_an_order_that_would_be_held_says_for_what(stage: Stage, tmp_path: Path) -> None:
    stage.hand_in(TS, ("k", ts("A", ts_payment(payment_uid("A", 1)))))
    stage.finish()
    again = ts("A", ts_payment(payment_uid("A", 2)))
    found = seen(stage, TS, again)
    assert [[reason.kind for reason in reasons] for reasons in found.held] == [[HoldKind.PAID_TWICE]]
    assert found.held[0][0].text in page(stage, "ts", text(again), tmp_path, columns=200)
    stage.hand_in(TS, ("k2", again))
    assert stage.put() == 0


def test_a_case_with_an_open_order_makes_it_wait_and_a_refusal_is_reported_all_the_same(stage: Stage, tmp_path: Path) -> None:
    stage.hand_in(DP, ("k", dp("A")))
    found = seen(stage, DP, dp("A", ident="nobody"))
    assert found.waits
    assert found.refusal is not None
    shown = page(stage, "dp", text(dp("A", ident="nobody")), tmp_path)
    assert "would wait" in shown
    assert "would be answered FEILET [400]" in shown


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_amounts_are_never_cut(stage: Stage, tmp_path: Path, columns: int) -> None:
    spans = [
        {"fom": "2026-06-01", "tom": "2026-06-01", "beløp": 1234567890},
        {"fom": "2026-06-03", "tom": "2026-06-03", "beløp": 4123456789},
    ]
    payment = {**ts_payment(payment_uid("A", 1)), "perioder": spans}
    shown = page(stage, "ts", text(ts("A", payment)), tmp_path, columns=columns)
    assert "1,234,567,890" in shown
    assert "4,123,456,789" in shown
