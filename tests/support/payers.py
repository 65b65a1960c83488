"""Callers of the single payments of one hub over HTTP: payments in cases of their own, and the lines of the orders that leave."""

from typing import Any

import httpx
from lxml import etree

from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.order_xml import validate
from kvitt.testing import Hub
from support.patience import PATIENCE_SECONDS
from support.single_payments import Body, person_of, supplement, text

JSON = {"content-type": "application/json"}
Line = tuple[str, str, str, int, str | None]
"""A line of an order: NY or the day from which it ends, first and last day, amount, and whether it refers to another."""


class Payers:
    """Callers of the payments of one hub."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.rest = hub, hub.rest
        self.http = httpx.Client(base_url=hub.rest.url, headers=self.headers(), timeout=PATIENCE_SECONDS)

    def headers(self, *schemes: Scheme) -> dict[str, str]:
        """A token of an application of these schemes, all unless said."""
        return JSON | {"authorization": f"Bearer {self.rest.token(schemes=schemes or tuple(Scheme))}"}

    def call(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """One call; underscores in names of headers stand for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else None if body is None else text(body)
        return self.http.request(method, f"/utbetalinger/{path}", content=content, headers=named)

    def done(self, method: str, uid: str, body: Body) -> None:
        """A call that is done, and taken by the rail."""
        answer = self.call(method, uid, body)
        assert answer.status_code == (201 if method == "POST" else 204), answer.text
        assert answer.content == b""
        self.hub.run()
        assert self.call("GET", f"{uid}/status").json() == "OK"

    def lines(self) -> list[Line]:
        """The lines of the order that left last; its XML is the schema's."""
        xml = self.hub.sent()[-1].message
        validate(xml)
        return [_line(each) for each in etree.fromstring(xml).iter("{*}oppdrags-linje-150")]


def _line(line: Any) -> Line:
    ends = line.findtext("kodeStatusLinje") and line.findtext("datoStatusFom")[:10]
    amount = int(line.findtext("sats"))
    return (ends or "NY", line.findtext("datoVedtakFom")[:10], line.findtext("datoVedtakTom")[:10], amount, line.findtext("refDelytelseId"))


def case_of(uid: str) -> str:
    """A case of its own."""
    return f"TS-{uid[-8:]}"


def paid(uid: str, *spans: Body, **others: Any) -> Body:
    """A payment in a case of its own."""
    return supplement(*spans, **{"sakId": case_of(uid), "personident": person_of(uid), **others})


def error(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, text and page of a refusal, whose members are all there."""
    said = answer.json()
    assert [*said] == ["statusCode", "msg", "doc", "system"]
    assert said["statusCode"] == answer.status_code
    return said["statusCode"], said["msg"], said["doc"]
