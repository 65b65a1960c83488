"""Calls of the tables of contracts: their refusals, bodies that lack something, and the orders that leave, to the letter."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
from lxml import etree

from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.order_xml import validate
from support.contract_tables import TS
from support.iverksetting_bodies import Body
from support.iverksetting_stage import DecisionSite
from support.single_payments import text


def said(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, text and page of a refusal."""
    body = answer.json()
    assert [*body] == ["statusCode", "msg", "doc", "system"]
    return answer.status_code, body["msg"], body["doc"]


def called(site: DecisionSite, method: str, uid: str, body: Body, **headers: str) -> httpx.Response:
    """The answer to a call on a single payment."""
    scheme = Scheme.AAP if body["stønad"].startswith("AAP") else TS
    named = {**site.headers(scheme), "content-type": "application/json", **headers}
    return site.client.request(method, f"/utbetalinger/{uid}", content=text(body), headers=named)


def leaves(site: DecisionSite) -> etree._Element:
    """The order that leaves next, and is taken; its bytes are the schema's."""
    before = len(site.hub.sent())
    site.hub.run()
    (order,) = site.hub.sent()[before:]
    validate(order.message)
    return etree.fromstring(order.message)


def found(inside: etree._Element, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    """What stands under these paths."""
    return {path: inside.findtext(path) for path in wanted}


def without(body: Body, path: str) -> Body:
    """The body without one member."""
    copied: Any = json.loads(json.dumps(body))
    inner = copied
    *outer, name = path.split(".")
    for step in outer:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    del inner[name]
    return copied  # type: ignore[no-any-return]
