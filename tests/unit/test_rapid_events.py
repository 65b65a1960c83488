"""What the rapid gets about an order: the contract's events field by field, and answers by severity (rapid §2.3–§2.6, §2.9, §3.3)."""

import json
from datetime import date, datetime

import pytest

from kvitt.contracts.rapid.needs import Need, NeedKind
from kvitt.contracts.rapid.wire import events
from kvitt.contracts.rapid.wire.need import read
from kvitt.contracts.rapid.wire.packet import Trace
from kvitt.contracts.rapid.wire.solutions import (
    TEXTS,
    Solution,
    SolutionStatus,
    code_of,
    decode,
    encode,
    of_receipt,
)
from kvitt.disbursement.events import ReconciliationGood
from kvitt.disbursement.rail import Observation, Severity
from kvitt.disbursement.values import Area, Scheme
from kvitt.rails.oppdrag.rail import SEVERITIES
from support.rapid_messages import CASE_ID, EXAMPLE, GOLDEN_XML, KEY, PAYMENT_ID, PERSON, cessation, line, need_bytes

MADE_AT = datetime.fromisoformat("2024-03-04T12:00:00.123400")
TOLD_AT = datetime.fromisoformat("2024-03-04T12:03:11.500000")
ORDER_EVENT, ECHO_EVENT = "11111111-7c0f-5c1e-8d3c-2f2f0f5f1a11", "22222222-7c0f-5c1e-8d3c-2f2f0f5f1a11"
CAUSE = Trace("0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11", "2024-03-04T11:59:58.5", "behov", ("Utbetaling",))

ORDER = {
    "@event_name": "oppdrag_utbetaling",
    "fødselsnummer": "24068715888",
    "organisasjonsnummer": "987654321",
    "saksbehandler": "Kari Utbetaler",
    "opprettet": "2024-03-04T12:00:00.1234",
    "avstemmingsnøkkel": 1709550000000000123,
    "mottaker": "987654321",
    "fagsystemId": "KV5R2WQ7NZEXDJTLMBY4HGASCU",
    "utbetalingId": "6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1",
    "fagområde": "SPREF",
    "endringskode": "NY",
    "totalbeløp": 1450,
    "linjer": [
        {
            "fom": "2024-03-04",
            "tom": "2024-03-22",
            "endringskode": "NY",
            "sats": 1450,
            "delytelseId": 1,
            "satstype": "DAG",
            "klassekode": "SPREFAG-IOP",
            "grad": 80,
        }
    ],
    "maksdato": "2024-12-13",
}


def asked(body: bytes = EXAMPLE.encode()) -> Need:
    found = read(body)
    assert isinstance(found, Need)
    return found


def receipt(raw: str, text: str = "", *, code: str = "") -> Observation:
    severity = SEVERITIES.get(raw, Severity.UNKNOWN)
    return Observation((Scheme.SYKEPENGER, CASE_ID), "SPREF", b"", "", severity, raw, code, text)


def test_the_contracts_order_event() -> None:
    published = json.loads(events.payment_order(asked(), KEY, ORDER_EVENT, MADE_AT, CAUSE))
    assert published == ORDER | {
        "@id": ORDER_EVENT,
        "@opprettet": "2024-03-04T12:00:00.1234",
        "system_read_count": 0,
        "system_participating_services": [{"id": ORDER_EVENT, "time": "2024-03-04T12:00:00.123400", "service": "kvitt"}],
        "@forårsaket_av": {
            "id": "0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11",
            "event_name": "behov",
            "behov": ["Utbetaling"],
            "opprettet": "2024-03-04T11:59:58.5",
        },
    }


def test_the_order_event_begins_as_the_contracts_does_and_has_its_members_in_that_order() -> None:
    published = events.payment_order(asked(), KEY, ORDER_EVENT, MADE_AT, CAUSE).decode()
    assert published.startswith('{"@event_name":"oppdrag_utbetaling","fødselsnummer":"24068715888","organisasjonsnummer":"987654321",')
    assert list(json.loads(published))[: len(ORDER)] == list(ORDER)


def test_what_a_line_does_not_say_is_left_out_and_what_it_says_is_reported_as_received() -> None:
    full = cessation("2024-03-10", datoKlassifikFom="2024-03-01", refDelytelseId="2", refFagsystemId=f"{CASE_ID}\r\n", sats="-1450")
    published = json.loads(events.payment_order(asked(need_bytes(linjer=[full], maksdato=None)), KEY, ORDER_EVENT, MADE_AT, CAUSE))
    assert published["linjer"] == [
        ORDER["linjer"][0]  # type: ignore[index]
        | {
            "endringskode": "ENDR",
            "sats": -1450,
            "statuskode": "OPPH",
            "datoStatusFom": "2024-03-10",
            "datoKlassifikFom": "2024-03-01",
            "refDelytelseId": 2,
            "refFagsystemId": f"{CASE_ID}\r\n",
        }
    ]
    assert (published["totalbeløp"], "maksdato" in published) == (-1450, False)


def test_the_total_is_the_sum_of_the_rates() -> None:
    lines = [line(), line(delytelseId=2, sats=-450)]
    assert json.loads(events.payment_order(asked(need_bytes(linjer=lines)), KEY, ORDER_EVENT, MADE_AT, CAUSE))["totalbeløp"] == 1000


def test_holiday_pay_has_neither_grade_nor_last_day() -> None:
    published = json.loads(events.payment_order(asked(need_bytes(NeedKind.HOLIDAY_PAY)), KEY, ORDER_EVENT, MADE_AT, CAUSE))
    assert "maksdato" not in published
    assert published["linjer"] == [
        {name: value for name, value in ORDER["linjer"][0].items() if name != "grad"}  # type: ignore[index]
        | {"satstype": "ENG", "klassekode": "SPREFAGFER-IOP"}
    ]


def test_the_order_event_comes_again_when_the_order_is_on_the_queue() -> None:
    xml = GOLDEN_XML.encode()
    published = json.loads(
        events.transferred(asked(), KEY, xml, event_id=ECHO_EVENT, at=TOLD_AT, made_at=MADE_AT, made_event_id=ORDER_EVENT)
    )
    assert published == ORDER | {
        "@id": ECHO_EVENT,
        "@opprettet": "2024-03-04T12:03:11.500",
        "system_read_count": 1,
        "system_participating_services": [
            {"id": ORDER_EVENT, "time": "2024-03-04T12:00:00.123400", "service": "kvitt"},
            {"id": ORDER_EVENT, "time": "2024-03-04T12:03:11.500", "service": "kvitt"},
            {"id": ECHO_EVENT, "time": "2024-03-04T12:03:11.500", "service": "kvitt"},
        ],
        "@forårsaket_av": {"id": ORDER_EVENT, "event_name": "oppdrag_utbetaling", "opprettet": "2024-03-04T12:00:00.1234"},
        "kvittering": {"status": "OVERFØRT", "beskrivelse": "Meldingen er videresendt på MQ til Oppdrag", "xmlmelding": GOLDEN_XML},
    }


def test_the_contracts_status_event() -> None:
    noted = receipt("04", "Skatteopplysninger ikke funnet", code="B110008W")
    published = json.loads(events.transaction_status(asked(), KEY, noted, original="<oppdrag/>", event_id=ECHO_EVENT, at=TOLD_AT))
    assert published == {
        "@event_name": "transaksjon_status",
        "@id": ECHO_EVENT,
        "@opprettet": "2024-03-04T12:03:11.5",
        "fødselsnummer": PERSON,
        "utbetalingId": PAYMENT_ID,
        "avstemmingsnøkkel": KEY,
        "fagsystemId": CASE_ID,
        "status": "AKSEPTERT_MED_FEIL",
        "feilkode_oppdrag": "04",
        "beskrivelse": "Skatteopplysninger ikke funnet",
        "originalXml": "<oppdrag/>",
        "kodemelding": "B110008W",
        "beskrivendemelding": "Skatteopplysninger ikke funnet",
        "system_read_count": 0,
        "system_participating_services": [{"id": ECHO_EVENT, "time": "2024-03-04T12:03:11.500", "service": "kvitt"}],
    }


def test_words_that_the_rail_did_not_say_are_left_out() -> None:
    published = json.loads(events.transaction_status(asked(), KEY, receipt("00"), original="", event_id=ECHO_EVENT, at=TOLD_AT))
    assert {"kodemelding", "beskrivendemelding"} & set(published) == set()
    assert (published["status"], published["beskrivelse"]) == ("AKSEPTERT", "Oppdraget ble akseptert uten feil")


def test_the_copy_of_a_receipt() -> None:
    assert json.loads(events.raw_receipt('<oppdrag>"æ"\n</oppdrag>', ECHO_EVENT, TOLD_AT)) == {
        "@event_name": "oppdrag_kvittering",
        "originalXml": '<oppdrag>"æ"\n</oppdrag>',
        "@id": ECHO_EVENT,
        "@opprettet": "2024-03-04T12:03:11.5",
        "system_read_count": 0,
        "system_participating_services": [{"id": ECHO_EVENT, "time": "2024-03-04T12:03:11.500", "service": "kvitt"}],
    }


UNHEARD_OF = "Spenn forstår ikke responsen fra Oppdrag. Fikk ukjent kode:"
TECHNICAL = "Teknisk feil fra oppdrag, OS har angivelig forsøkt et par ganger og til slutt avvist. Forsøk på nytt"


@pytest.mark.parametrize(
    ("said", "code", "status", "text"),
    [
        (receipt("00"), "00", "AKSEPTERT", "Oppdraget ble akseptert uten feil"),
        (receipt("00", "Alt vel"), "00", "AKSEPTERT", "Alt vel"),
        (receipt("04"), "04", "AKSEPTERT_MED_FEIL", "Oppdraget ble akseptert, men noe er feil"),
        (receipt("04", "Skatt"), "04", "AKSEPTERT_MED_FEIL", "Skatt"),
        (receipt("08"), "08", "AVVIST", "Oppdraget ble avvist"),
        (receipt("08", "Finnes fra før"), "08", "AVVIST", "Finnes fra før"),
        (receipt("12"), "12", "FEIL", TECHNICAL),
        (receipt("12", "Registeret svarer ikke"), "12", "FEIL", TECHNICAL),
        (receipt(""), "??", "FEIL", f"{UNHEARD_OF} UKJENT"),
        (receipt("16"), "??", "FEIL", f"{UNHEARD_OF} 16"),
        (receipt("4", "Noe"), "??", "FEIL", f"{UNHEARD_OF} 4. Noe"),
    ],
)
def test_a_severity_is_an_answer(said: Observation, code: str, status: str, text: str) -> None:
    assert code_of(said) == code
    assert of_receipt(said, KEY, TOLD_AT) == Solution(SolutionStatus(status), text, sent_at="2024-03-04T12:03:11.5", key=KEY)


def test_the_texts_of_the_contract() -> None:
    assert {status.value: text for status, text in TEXTS.items()} == {
        "MOTTATT": "Oppdraget er mottatt, men ikke sendt til Oppdrag/UR",
        "OVERFØRT": "Oppdraget er sendt til Oppdrag/UR. Venter på kvittering",
        "AKSEPTERT": "Oppdraget ble akseptert uten feil",
        "AKSEPTERT_MED_FEIL": "Oppdraget ble akseptert, men noe er feil",
        "AVVIST": "Oppdraget ble avvist",
        "FEIL": "Spenn forstår ikke responsen fra Oppdrag",
    }


NOT_SENT = "Oppdraget er mottatt, men ikke sendt til Oppdrag/UR"
SENT = "Oppdraget er sendt til Oppdrag/UR. Venter på kvittering"


@pytest.mark.parametrize(
    ("solution", "published"),
    [
        (
            Solution(SolutionStatus.RECEIVED, TEXTS[SolutionStatus.RECEIVED], key=KEY),
            f'{{"status":"MOTTATT","beskrivelse":"{NOT_SENT}","avstemmingsnøkkel":{KEY}}}',
        ),
        (
            Solution(SolutionStatus.TRANSFERRED, TEXTS[SolutionStatus.TRANSFERRED], sent_at="2024-03-04T12:00:00.000123", key=KEY),
            f'{{"status":"OVERFØRT","beskrivelse":"{SENT}","overføringstidspunkt":"2024-03-04T12:00:00.000123","avstemmingsnøkkel":{KEY}}}',
        ),
        (
            Solution(SolutionStatus.FAILED, "Kunne ikke opprette nytt Oppdrag pga. teknisk feil: X"),
            '{"status":"FEIL","beskrivelse":"Kunne ikke opprette nytt Oppdrag pga. teknisk feil: X"}',
        ),
    ],
)
def test_the_contracts_answers_to_the_byte(solution: Solution, published: str) -> None:
    assert encode(solution) == published.encode()
    assert decode(encode(solution)) == solution


def test_a_need_without_a_last_day_and_with_one_differ_only_there() -> None:
    with_day, without = asked(), asked(need_bytes(maksdato=None))
    assert (with_day.last_day, without.last_day) == (date(2024, 12, 13), None)


def test_what_is_reconciled_is_published_as_the_contract_has_it() -> None:
    """Its members to the byte, those of every message behind them (rapid §4.4)."""
    good = ReconciliationGood("fb4e2c1d-9a70-4b3e-8f15-2d6c7e8091a2", Area("SPREF"), "rapid", "501", "507", date(2024, 3, 4), 7, 3)
    made = datetime.fromisoformat("2024-03-05T09:00:04.200000")
    example = (
        '{"@event_name":"avstemming","@id":"fb4e2c1d-9a70-4b3e-8f15-2d6c7e8091a2","@opprettet":"2024-03-05T09:00:04.2","dagen":"2024-03-04",'
        '"fagområde":"SPREF","antall_oppdrag":7,'
        '"detaljer":{"nøkkel_fom":501,"nøkkel_tom":507,"antall_oppdrag":7,"antall_avstemmingsmeldinger":3}'
    )
    asked = Trace("2d2a2f3c-7d0e-4c86-9a0c-5d2f6f0f7a01", "2024-03-05T09:00:00", "hel_time")
    by_nobody, by_clock = events.reconciled(good, made, None).decode(), events.reconciled(good, made, asked).decode()
    assert by_nobody.startswith(example + ',"system_read_count":0,')
    assert "@forårsaket_av" not in by_nobody
    cause = '{"id":"2d2a2f3c-7d0e-4c86-9a0c-5d2f6f0f7a01","opprettet":"2024-03-05T09:00:00","event_name":"hel_time"}'
    assert by_clock == f'{by_nobody[:-1]},"@forårsaket_av":{cause}}}'
