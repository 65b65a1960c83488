"""A period without end is legal, is paid, and stops nobody who looks at it: every page is drawn to a bound and says what it leaves out."""

import json
from collections.abc import Iterator
from datetime import date
from uuid import uuid4

import pytest
from click.testing import CliRunner

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from support.whole_way import Way, whole_way


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    with whole_way() as found:
        yield found


def body(case_id: str, amount: int, payment_id: str) -> dict[str, object]:
    period = {"fom": "2025-08-01", "tom": "9999-12-31", "beløp": amount}
    return {
        "sakId": case_id,
        "behandlingId": "1",
        "personident": "01020312345",
        "vedtakstidspunkt": "2025-07-04T09:15:30",
        "periodetype": "MND",
        "utbetalinger": [{"id": payment_id, "stønad": "BOUTGIFTER_AAP", "perioder": [period]}],
    }


def kvitt(way: Way, *arguments: str, given: bytes | None = None) -> str:
    done = CliRunner().invoke(main, [*arguments, "--database", way.connection.info.dsn], input=given)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_a_month_without_end_is_paid_shown_drawn_compared_and_checked(way: Way) -> None:
    case_id, payment_id = way.case(), str(uuid4())
    way.accepted(Scheme.TILLEGGSSTONADER, body(case_id, 4953, payment_id))
    assert way.days("TILLSTBO", case_id) == [("2025-08-01", "9999-12-31", 4953)]
    assert "4,953" in kvitt(way, "case", "ts", case_id)
    assert "… until 9999-12-31, not drawn after 2045-08-16" in kvitt(way, "case", "ts", case_id)
    assert "… until 9999-12-31, not drawn after 2044-12-31" in kvitt(way, "emulator", "schedule", "TILLSTBO", case_id)
    [order] = [json.loads(line) for line in kvitt(way, "order", "list", "--case", case_id, "--json").splitlines()]
    assert "9999-12-31" in kvitt(way, "order", "show", order["order_id"])
    changed = json.dumps(body(case_id, 5000, payment_id)).encode()
    assert "… until 9999-12-31, not drawn after" in kvitt(way, "submit", "-", "--scheme", "ts", "--dry-run", given=changed)
    way.accepted(Scheme.TILLEGGSSTONADER, body(case_id, 5000, payment_id))
    assert "nothing differs" in kvitt(way, "check")
    assert check(way.connection.info.dsn, PORTS).differences == ()


def test_the_last_day_of_all_is_a_day_like_another(way: Way) -> None:
    case_id = way.case()
    message = body(case_id, 100, str(uuid4()))
    message["utbetalinger"][0]["perioder"][0]["fom"] = "9999-12-01"  # type: ignore[index]
    way.accepted(Scheme.TILLEGGSSTONADER, message)
    for page in (("case", "ts", case_id), ("emulator", "schedule", "TILLSTBO", case_id)):
        said = kvitt(way, *page)
        assert "9999-11-29" in said
        assert "not drawn" not in said
    assert date.max.isoformat() in kvitt(way, "case", "ts", case_id)
