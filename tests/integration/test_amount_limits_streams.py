"""Amounts of case messages and needs at and beyond the ends of what they can be are answered as the sender's fault, never as ours."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.values import Scheme
from kvitt.formats import topics
from support.hub_messages import aap, dp, historisk, tp, ts, ts_payment, valp
from support.hub_stage import Stage, staged
from support.rapid_messages import line, need

KRONER = 4_294_967_295
BEYOND = (-(2**63) - 1, -(2**63), -1, KRONER + 1, 2**63 - 1, 2**63, 2**64, 10**30)
FORMS: dict[Scheme, Callable[[str, int], Any]] = {
    Scheme.DAGPENGER: dp,
    Scheme.AAP: aap,
    Scheme.TILLEGGSSTONADER: lambda case, amount: ts(case, ts_payment("6fa459ea-ee8a-4ca4-894e-db77e160355e", amount)),
    Scheme.TILTAKSPENGER: tp,
    Scheme.HISTORISK: historisk,
    Scheme.VALP: valp,
}


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        yield stage


@pytest.mark.parametrize("scheme", FORMS)
def test_an_amount_beyond_the_limit_is_refused_as_the_senders(stage: Stage, scheme: Scheme) -> None:
    messages = [(f"m-{number}", FORMS[scheme](f"C-{number}", amount)) for number, amount in enumerate(BEYOND)]
    stage.hand_in(scheme, *messages)
    for key, _ in messages:
        error = stage.final(key).error
        assert error is not None
        assert error.status == 400, error.text
    assert check(stage.conninfo, PORTS).differences == ()


@pytest.mark.parametrize("scheme", FORMS)
def test_the_greatest_amount_is_paid_as_it_is(stage: Stage, scheme: Scheme) -> None:
    stage.hand_in(scheme, ("m", FORMS[scheme]("C", KRONER)))
    stage.finish()
    assert stage.final("m").error is None
    assert stage.one("SELECT max(amount) FROM order_lines") == KRONER
    assert check(stage.conninfo, PORTS).differences == ()


@pytest.mark.parametrize("amount", [2**63 - 1, 2**63, 2**64, 10**30, -1, -(2**63) - 1])
def test_a_need_with_such_an_amount_is_no_failure_of_ours(stage: Stage, amount: int) -> None:
    body = json.dumps(need(linjer=[line(sats=amount)]), ensure_ascii=False).encode()
    stage.submit([Incoming(topics.RAPID, 0, 1, None, body, b"[]")])
    published = [json.loads(value) for value in stage.bytes("SELECT value FROM outbox WHERE topic = %s", topics.RAPID)]
    assert published
    assert all("Feil ved prosessering" not in json.dumps(each, ensure_ascii=False) for each in published)
    assert check(stage.conninfo, PORTS).differences == ()
