"""A move out of the chained contract is asked for by reporting card or by benefit, and each wrong way of asking has its text."""

from typing import Any
from uuid import UUID

import pytest

from kvitt.contracts.iverksetting.decision import EnactmentKey, Generation
from kvitt.contracts.iverksetting.moving import AskedMove, read_move
from kvitt.contracts.iverksetting.texts import NOT_READ
from kvitt.disbursement.values import PaymentId, Refusal, Scheme
from support.iverksetting_bodies import encoded

TS, TP, DP = Scheme.TILLEGGSSTONADER, Scheme.TILTAKSPENGER, Scheme.DAGPENGER
UID = UUID(int=7)
PAIR = {"first": str(UID), "second": "TILSYN_BARN_AAP"}
BASE = {"sakId": "S12", "behandlingId": "B7"}


def asked(scheme: Scheme, **members: Any) -> AskedMove | Refusal:
    return read_move(encoded({**BASE, **members}), scheme, Generation.THIRD)


def test_a_reporting_card_or_a_benefit_says_which_chains_are_meant() -> None:
    assert asked(TP, meldeperiode="M1", iverksettingId="i") == AskedMove("S12", EnactmentKey("B7", "i"), reporting_card="M1")
    found = asked(TS, uidToStønad=PAIR)
    assert found == AskedMove("S12", EnactmentKey("B7"), payment_id=PaymentId(str(UID)), class_code="TSTBASISP4-OP")


@pytest.mark.parametrize(
    ("scheme", "members", "status", "text"),
    [
        (TS, {}, 400, "mangler en av: 'meldeperiode' eller 'uidToStønad'"),
        (TS, {"meldeperiode": None, "uidToStønad": None}, 400, "mangler en av: 'meldeperiode' eller 'uidToStønad'"),
        (TS, {"meldeperiode": "M1", "uidToStønad": PAIR}, 400, NOT_READ),
        (DP, {"meldeperiode": "M1"}, 501, "kan ikke migrere DAGPENGER enda"),
        (TS, {"meldeperiode": "M1"}, 400, NOT_READ),
        (TP, {"uidToStønad": PAIR}, 400, NOT_READ),
        (TS, {"uidToStønad": {**PAIR, "second": "JOBBKLUBB"}}, 400, NOT_READ),
        (TS, {"uidToStønad": {**PAIR, "first": "7"}}, 400, NOT_READ),
    ],
)
def test_what_can_not_be_moved_is_refused(scheme: Scheme, members: dict[str, Any], status: int, text: str) -> None:
    found = asked(scheme, **members)
    assert isinstance(found, Refusal)
    assert (found.status, found.text) == (status, text)
