"""Lines in force that callers name, in one batch or in several: the order of checks, their texts, and repeats (iverksetting §5.6)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from lxml import etree

import kvitt.testing
from kvitt.api.rest.callers import Permission
from kvitt.disbursement.reconcile.consistency import Consistency
from kvitt.disbursement.reconcile.runs import RunState
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.reconciliation import run_name
from kvitt.testing import Hub, TestServer

PATH, OLDER = "/api/v2/konsistensavstemming", "/api/konsistensavstemming"
MOMENT = "2026-05-05T08:00:00"
PERSON, OTHER = "01020312345", "02020312345"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def hub(kvitt_server: TestServer) -> Iterator[Hub]:
    """A hub with the contract's example: case 71 in decisions 10 and 11; case 72 is rejected, case 73 has a line that is over."""
    with kvitt_server.database() as conninfo, kvitt.testing.hub(conninfo=conninfo) as made:
        made.clock.set(datetime(2026, 5, 5, 6, tzinfo=UTC))
        first, second = order(made, "71", 1), order(made, "71", 2)
        line(made, first, "71#1", None, "B10", 120, "2026-05-01", "2026-05-30")
        line(made, first, "71#2", "71#1", "B10", 95, "2026-05-31", "2026-05-31")
        line(made, second, "71#2", None, "B11", 95, "2026-05-31", "2026-05-31", ceased_from="2026-05-31")
        line(made, second, "71#3", "71#2", "B11", 210, "2026-06-01", "2026-06-30")
        line(made, order(made, "72", 1, "rejected"), "72#1", None, "B20", 500, "2026-05-01", "2026-05-30")
        line(made, order(made, "73", 1), "73#1", None, "B30", 700, "2026-04-01", "2026-04-30")
        line(made, order(made, "74", 1), str(uuid4()), None, "B40", 700, "2026-04-01", "2026-05-30")
        yield made


def order(hub: Hub, case: str, number: int, state: str = "accepted") -> UUID:
    """An order of a case, as it is stored."""
    order_id, connection = uuid4(), hub.connection
    connection.execute(
        b"INSERT INTO cases (scheme, case_id, person, areas) VALUES ('DAGPENGER', %s, %s, '{DP}') ON CONFLICT DO NOTHING", (case, PERSON)
    )
    connection.execute(
        b"""INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, message, correlation_time, correlation_key,
                                is_first_order, made_at, settled_at, day, sum_kroner)
            SELECT %s, case_no, %s, 'DP', person, 1, %s, '', '', %s, false, '2026-05-01', '2026-05-01', '2026-05-01', 0
            FROM cases WHERE case_id = %s""",
        (order_id, number, state, order_id.bytes, case),
    )
    return order_id


def line(  # noqa: PLR0917 - a line has so many parts
    hub: Hub,
    order_id: UUID,
    name: str,
    before: str | None,
    decision: str,
    amount: int,
    start: str,
    end: str,
    ceased_from: str | None = None,
) -> None:
    hub.connection.execute(
        b"""INSERT INTO order_lines (order_id, position, line_id, refers_to, payment_id, class_code, start_on, end_on, amount, ceased_from,
                                     decision_id, rate_type, decided_on, caseworker, approver, recipient)
            SELECT %s, count(*), %s, %s, %s, 'DAGPENGER', %s, %s, %s, %s, %s, 'weekday', date '2026-03-01' + %s, 'saksb',
                   'besl', '01020312345'
            FROM order_lines WHERE order_id = %s""",
        (order_id, name, before, order_id, start, end, amount, ceased_from, decision, int(decision[1:]), order_id),
    )


@pytest.fixture
def client(hub: Hub) -> Iterator[httpx.Client]:
    with hub.rest.client(application="barnetrygd") as made:
        yield made


def named(decisions: Json, **changes: Any) -> Json:
    """A body that names lines: numbers by decision."""
    periods = [{"behandlingId": each, "perioder": numbers, "aktivFødselsnummer": PERSON} for each, numbers in decisions.items()]
    return {"fagsystem": "DAGPENGER", "perioderForBehandlinger": periods, "avstemmingstidspunkt": MOMENT, **changes}


def flags(transaction: UUID | None, *, starts: bool = False, ends: bool = False) -> dict[str, str]:
    said = {"sendStartmelding": str(starts).lower(), "sendAvsluttmelding": str(ends).lower()}
    return {**said, "transaksjonsId": str(transaction)} if transaction else said


def failed(response: httpx.Response) -> str:
    """What is wrong, in an answer of which the rest is as the contract has it."""
    answer = response.json()
    assert (response.status_code, answer.pop("kode"), answer.pop("feil", "") != "") == (500, "batch_refused", True)
    assert answer == {"data": None, "status": "FEILET", "melding": "Konsistensavstemming feilet"}
    return str(response.json()["feil"])


def taken(response: httpx.Response) -> None:
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "SUKSESS"
    assert response.json()["melding"] == "Konsistensavstemming sendt ok"


def last(connection: Connection) -> tuple[int, str, str]:
    """The newest run: its number, its state, its id."""
    rows = connection.execute(b"SELECT run_no, state, run_id::text FROM reconciliation_runs ORDER BY run_no DESC LIMIT 1").fetchall()
    return rows[0] if rows else (0, "", "")  # type: ignore[return-value]


def parsed(connection: Connection) -> list[etree._Element]:
    """The messages of the newest run, in their order."""
    query = b"SELECT body FROM reconciliation_messages WHERE run_no = %s ORDER BY place"
    return [etree.fromstring(body) for (body,) in connection.execute(query, (last(connection)[0],)).fetchall()]  # type: ignore[arg-type]


def messages(connection: Connection) -> list[str]:
    """The messages of the newest run in a word or two each: START, a case with amounts, a total, AVSL."""
    return [*map(said, parsed(connection))]


def said(message: etree._Element) -> str:
    (data,) = message.iter("konsistensavstemmingsdata")
    if (total := data.find("totaldata")) is not None:
        return f"total {total.findtext('totalAntall')} {total.findtext('totalBelop')} {total.findtext('fortegn')}"
    if (case := data.find("oppdragsdataListe")) is not None:
        lines = [f"{each.findtext('delytelseId')}={each.findtext('sats')}" for each in case.iter("oppdragslinjeListe")]
        return " ".join([f"{case.findtext('fagsystemId')}:", *lines])
    return data.findtext("aksjonsdata/aksjonsType", "")


def test_the_contracts_example_in_one_call(hub: Hub, client: httpx.Client) -> None:
    body = named({"B10": [1], "B11": [3]})
    taken(client.post(PATH, json=body))
    assert messages(hub.connection) == ["START", "71: 71#1=120 71#3=210", "total 1 330 T", "AVSL"]
    made = last(hub.connection)
    assert made[1] == "made"
    taken(client.post(PATH, json=body))
    assert last(hub.connection) == made, "the same body changes nothing"


def test_a_line_that_was_stopped_is_reported_as_it_was_and_is_paid_to_whom_the_caller_says(hub: Hub, client: httpx.Client) -> None:
    periods = [
        {"behandlingId": "B10", "perioder": [1], "aktivFødselsnummer": PERSON, "utebetalesTil": "987654321"},
        {"behandlingId": "B11", "perioder": [2], "aktivFødselsnummer": OTHER},
    ]
    taken(client.post(PATH, json=named({}, perioderForBehandlinger=periods)))
    assert messages(hub.connection)[1] == "71: 71#1=120 71#2=95"
    query = b"SELECT body FROM reconciliation_messages WHERE run_no = %s AND place = 2"
    ((body,),) = hub.connection.execute(query, (last(hub.connection)[0],)).fetchall()
    data = etree.fromstring(body)  # type: ignore[arg-type]
    lines = [*data.iter("oppdragslinjeListe")]
    assert [each.findtext("utbetalesTilId") for each in lines] == ["987654321", OTHER]
    assert [each.findtext("refDelytelseId") for each in lines] == [None, "71#1"]
    assert [each.findtext("attestantListe/attestantId") for each in lines] == ["saksb", "saksb"]
    assert [each.text for each in data.iter("oppdragGjelderId")] == [OTHER], "of several decisions the last one's"


def test_batches_of_a_transaction_leave_together_with_the_total_of_all(hub: Hub, client: httpx.Client) -> None:
    transaction = uuid4()
    first, end = named({"B10": [1]}), named({"B11": [3]})
    taken(client.post(PATH, json=first, params=flags(transaction, starts=True)))
    assert last(hub.connection)[1:] == ("making", str(transaction)), "nothing leaves before the last batch"
    taken(client.post(PATH, json=named({}), params=flags(transaction)))
    assert messages(hub.connection) == ["START", "71: 71#1=120"], "an empty batch in the middle has no messages"
    taken(client.post(PATH, json=first, params=flags(transaction, starts=True)))
    assert len(messages(hub.connection)) == 2, "a batch that comes again is known"
    assert failed(client.post(PATH, json=end, params=flags(transaction, starts=True))) == (
        f"Skal sende startmelding men det er ikke første mottatte batch med transaskjonsId= {transaction}"
    )
    taken(client.post(PATH, json=end, params=flags(transaction, ends=True)))
    taken(client.post(PATH, json=end, params=flags(transaction, ends=True)))
    assert messages(hub.connection) == ["START", "71: 71#1=120", "71: 71#3=210", "total 2 330 T", "AVSL"]
    assert last(hub.connection)[1] == "made"
    for field, said in (("avleverendeAvstemmingId", run_name(str(transaction))), ("tidspunktAvstemmingTom", "2026-05-05-08.00.00.000000")):
        assert [each.findtext(f".//aksjonsdata/{field}") for each in parsed(hub.connection)] == [said] * 5
    assert "Avsluttmelding er mottatt" in failed(client.post(PATH, json=first, params=flags(transaction)))


def test_a_transaction_that_was_given_up_takes_no_batch_and_another_begins_anew(hub: Hub, client: httpx.Client) -> None:
    given_up, transaction = uuid4(), uuid4()
    first, end = named({"B10": [1]}), named({"B11": [3]})
    taken(client.post(PATH, json=first, params=flags(given_up, starts=True)))
    dropped = Consistency(hub.connection, hub.ports, hub.clock).drop(last(hub.connection)[0], Operator("kari", "its caller is gone"))
    assert (dropped.state, messages(hub.connection)) == (RunState.DROPPED, ["START", "71: 71#1=120"])
    for body, said in ((first, flags(given_up, starts=True)), (end, flags(given_up)), (end, flags(given_up, ends=True))):
        assert failed(client.post(PATH, json=body, params=said)).startswith("Avstemmingen er avbrutt")
    taken(client.post(PATH, json=first, params=flags(transaction, starts=True)))
    taken(client.post(PATH, json=end, params=flags(transaction, ends=True)))
    assert messages(hub.connection) == ["START", "71: 71#1=120", "71: 71#3=210", "total 2 330 T", "AVSL"]


def test_empty_batches_start_and_end(hub: Hub, client: httpx.Client) -> None:
    transaction = uuid4()
    taken(client.post(PATH, json=named({}), params=flags(transaction, starts=True)))
    assert messages(hub.connection) == ["START"]
    taken(client.post(PATH, json=named({}), params=flags(transaction, ends=True)))
    assert messages(hub.connection) == ["START", "total 0 0 T", "AVSL"]


def test_a_case_without_lines_left_is_sent_and_counted_and_one_that_the_rail_refused_is_not(hub: Hub, client: httpx.Client) -> None:
    taken(client.post(PATH, json=named({"B20": [1], "B30": [1], "B99": [1]})))
    assert messages(hub.connection) == ["START", "73:", "total 1 0 T", "AVSL"]


@pytest.mark.parametrize(
    ("body", "asked", "wrong"),
    [
        (
            named({"B10": [1]}),
            flags(None, starts=True),
            "Er sendStartmelding eller sendAvsluttmelding satt til false må transaksjonsId være definert.",
        ),
        (
            named({}, perioderForBehandlinger=[{"behandlingId": "B10", "perioder": [1]}] * 2),
            {},
            "Behandling finnes flere ganger i requesten: [B10]",
        ),
        (
            named({}, perioderForBehandlinger=[{"behandlingId": "B10", "perioder": [1]}]),
            {},
            "Finnes ikke et aktivt fødselsnummer for behandlingId B10",
        ),
        (named({"B40": [1]}), {}, "Linjene i behandlingId B40 har ingen periodeId"),
        (named({"B10": [1]}, fagsystem="TILLEGGSSTØNADER"), {}, "fagsystem TILLEGGSSTØNADER er ikke ett av fagområdene"),
        (named({"B10": [1]}), flags(UUID(int=7)), "Det er ikke mottatt en batch med startmelding"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_the_contracts_words_and_nothing_of_it_is_taken(
    hub: Hub, client: httpx.Client, body: Json, asked: dict[str, str], wrong: str
) -> None:
    before = last(hub.connection)
    assert failed(client.post(PATH, json=body, params=asked)).startswith(wrong)
    assert last(hub.connection) == before


def sent(case: str, number: int = 1, amount: int = 300) -> Json:
    period = {"erEndringPåEksisterendePeriode": False, "periodeId": number, "vedtaksdato": "2026-05-01", "klassifisering": "DAGPENGER"}
    paid = {"fom": "2026-05-01", "tom": "2026-05-30", "sats": amount, "satstype": "DAG", "utbetalesTil": PERSON, "behandlingId": "B1"}
    return {"saksnummer": case, "aktør": PERSON, "saksbehandlerId": "saksb", "utbetalingsperiode": [{**period, **paid}]}


def test_the_older_call_reports_what_it_is_given(hub: Hub, client: httpx.Client) -> None:
    body = {"fagsystem": "DP", "utbetalingsoppdrag": [sent("81"), sent("82", 4, -50)], "avstemmingstidspunkt": MOMENT}
    transaction = str(uuid4())
    taken(client.post(OLDER, json=body, params={"transaksjonId": transaction}))
    assert messages(hub.connection) == ["START", "81: 81#1=300", "82: 82#4=50", "total 2 250 T", "AVSL"]
    assert last(hub.connection)[2] == transaction
    before = last(hub.connection)
    for again in ("81", "81 "):
        twice = {**body, "utbetalingsoppdrag": [sent("81"), sent(again, 2)]}
        assert failed(client.post(OLDER, json=twice)) == "Har allerede lagt til 81 i listen over avstemminger"
    assert last(hub.connection) == before


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"avstemmingstidspunkt": "0001-01-01T00:00:00"}, "avstemmingstidspunkt: must not be before 1970-01-02"),
        ({"utbetalingsoppdrag": [sent("S" * 25, 10_000)]}, "utbetalingsperiode.periodeId: " + "S" * 25 + "#10000: gammelt format"),
        ({"utbetalingsoppdrag": [sent("81\uffff")]}, "saksnummer: Expected `str` matching"),
        ({"utbetalingsoppdrag": [sent("81\n")]}, "saksnummer: Expected `str` matching"),
    ],
)
def test_what_no_message_could_say_is_refused_by_its_field(hub: Hub, client: httpx.Client, given: Json, wrong: str) -> None:
    body = {"fagsystem": "DP", "utbetalingsoppdrag": [], "avstemmingstidspunkt": MOMENT, **given}
    answer = client.post(OLDER, json=body)
    assert (answer.status_code, wrong in answer.json()["feil"]) == (400, True), answer.text


def test_who_may_not_and_what_has_no_form_is_refused_in_the_same_form(hub: Hub, client: httpx.Client) -> None:
    with hub.rest.client(Permission.RECONCILIATION_READ) as other:
        refused = other.post(PATH, json=named({}))
    assert (refused.status_code, refused.json()["status"], refused.json()["melding"]) == (403, "FEILET", "Konsistensavstemming feilet")
    for body in ({**named({}), "more": 1}, {**named({}), "avstemmingstidspunkt": "2026-02-30T00:00:00"}, {"fagsystem": "DP"}):
        answer = client.post(PATH, json=body)
        assert (answer.status_code, answer.json()["status"]) == (400, "FEILET")
    assert client.post(PATH, json=named({}), params={"sendStartmelding": "ja"}).status_code == 400
    assert client.post(PATH, json=named({}), params={"transaksjonId": str(uuid4())}).status_code == 400
