"""A need that asks for money and for a simulation hears of both, and is replayed as it was answered."""

from typing import Any

import pytest
from msgspec.structs import replace

from kvitt.disbursement.editions import Edition
from kvitt.disbursement.submit import Outcome
from support.rapid_messages import CASE_ID, need
from support.rapid_stage import Rapid
from support.simulation_needs import simulation_need

BOTH = {"@behov": ["Utbetaling", "Simulering"], "Simulering": simulation_need(CASE_ID)["Simulering"]}


def solved(rapid: Rapid) -> list[dict[str, Any]]:
    return [message["@løsning"] for _, message in rapid.published() if "@løsning" in message]


def test_a_need_for_money_and_a_simulation_is_paid_and_hears_why_it_is_not_simulated(rapid: Rapid) -> None:
    rapid.ask(need(**BOTH))
    rapid.finish()
    found = solved(rapid)
    assert [each["Utbetaling"]["status"] for each in found] == ["MOTTATT", "OVERFØRT", "AKSEPTERT"]
    assert {(each["Simulering"]["status"], each["Simulering"]["simulering"]) for each in found} == {("FUNKSJONELL_FEIL", None)}
    assert all("Behovet ber også om utbetaling" in each["Simulering"]["feilmelding"] for each in found)
    assert rapid.one("SELECT count(*) FROM simulation_requests") == 0


def test_one_without_lines_to_pay_hears_of_the_simulation_alone(rapid: Rapid) -> None:
    rapid.ask(need(**BOTH, linjer=[]))
    (found,) = solved(rapid)
    assert [*found] == ["Simulering"]
    rapid.finish()


@pytest.mark.parametrize("lines", [{}, {"linjer": []}])
def test_what_was_answered_before_that_was_a_rule_is_replayed_as_it_was(rapid: Rapid, lines: dict[str, object]) -> None:
    before = replace(rapid.record(need(**BOTH, **lines)), edition=Edition.PLAIN_IDS)
    assert rapid.submit([before]) in ([Outcome.DERIVED], [Outcome.ANSWERED])
    rapid.finish()
    assert all([*each] == ["Utbetaling"] for each in solved(rapid))
