"""Needs on the real path: what is published from MOTTATT to the last answer, in the contract's words and fields (rapid §2, §3)."""

from uuid import UUID

import pytest

from kvitt.contracts.rapid.needs import NeedKind
from kvitt.disbursement.submit import Outcome
from kvitt.kernel.queue import Outgoing
from support.hub_stage import REPLIES, receipt_with
from support.rapid_messages import CASE_ID, EXAMPLE, GOLDEN_XML, KEY, ORGANISATION, PAYMENT_ID, PERSON, cessation, line, need
from support.rapid_stage import Rapid, other_case

WHOLE_WAY = ["MOTTATT", "ordered", "queued OVERFØRT", "OVERFØRT", "raw receipt", "rail AKSEPTERT", "AKSEPTERT"]


def test_the_contracts_example_goes_the_whole_way(rapid: Rapid) -> None:
    assert rapid.ask(EXAMPLE.encode()) == [Outcome.DERIVED]
    rapid.finish()
    records = rapid.published()
    received, ordered, queued, transferred, raw, status, accepted = [message for _, message in records]
    assert [key for key, _ in records] == [b"24068715888"] * 4 + [None] + [b"24068715888"] * 2
    key = received["@løsning"]["Utbetaling"]["avstemmingsnøkkel"]
    assert received["@løsning"] == {
        "Utbetaling": {
            "status": "MOTTATT",
            "beskrivelse": "Oppdraget er mottatt, men ikke sendt til Oppdrag/UR",
            "avstemmingsnøkkel": key,
        }
    }
    for answer in (received, transferred, accepted):
        assert answer["@behovId"] == "5b0f7d0a-58ae-4a39-8f0d-3e6a3a4f2b77"
        assert answer["Utbetaling"]["linjer"][0]["sats"] == "1450"
        assert answer["system_read_count"] == 0
        assert [each["service"] for each in answer["system_participating_services"]] == ["kvitt", "kvitt"]
    assert len({message["@id"] for _, message in records}) == len(records)
    assert received["@forårsaket_av"]["id"] == "0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11"
    assert received["@forårsaket_av"]["behov"] == ["Utbetaling"]
    fields = {name: ordered[name] for name in ("fødselsnummer", "organisasjonsnummer", "mottaker", "fagsystemId", "utbetalingId")}
    assert fields == {
        "fødselsnummer": PERSON,
        "organisasjonsnummer": ORGANISATION,
        "mottaker": ORGANISATION,
        "fagsystemId": CASE_ID,
        "utbetalingId": PAYMENT_ID,
    }
    assert (ordered["avstemmingsnøkkel"], ordered["totalbeløp"], ordered["maksdato"]) == (key, 1450, "2024-12-13")
    assert ordered["@forårsaket_av"]["id"] == received["@forårsaket_av"]["id"]
    assert queued["kvittering"]["beskrivelse"] == "Meldingen er videresendt på MQ til Oppdrag"
    assert queued["@forårsaket_av"]["id"] == ordered["@id"]
    assert transferred["@forårsaket_av"]["id"] == queued["@id"]
    assert transferred["@løsning"]["Utbetaling"] == {
        "status": "OVERFØRT",
        "beskrivelse": "Oppdraget er sendt til Oppdrag/UR. Venter på kvittering",
        "overføringstidspunkt": queued["@opprettet"],
        "avstemmingsnøkkel": key,
    }
    assert raw["originalXml"] == status["originalXml"]
    assert (status["status"], status["feilkode_oppdrag"], status["avstemmingsnøkkel"]) == ("AKSEPTERT", "00", key)
    assert (status["fødselsnummer"], status["utbetalingId"], status["fagsystemId"]) == (PERSON, PAYMENT_ID, CASE_ID)
    assert accepted["@forårsaket_av"]["id"] == status["@id"]
    assert accepted["@løsning"]["Utbetaling"] == {
        "status": "AKSEPTERT",
        "beskrivelse": "Oppdraget ble akseptert uten feil",
        "overføringstidspunkt": status["@opprettet"],
        "avstemmingsnøkkel": key,
    }


def test_the_order_has_the_contracts_bytes(rapid: Rapid) -> None:
    rapid.ask(EXAMPLE.encode())
    sent = rapid.one("SELECT message FROM orders")
    assert isinstance(sent, bytes)
    key, stamp = rapid.rows("SELECT reconciliation_key::text, correlation_time FROM orders")[0]
    expected = GOLDEN_XML.replace(str(KEY), str(key)).replace("2024-03-04T12:00:00.512345", str(stamp))
    assert sent.decode() == expected


def test_holiday_pay_is_answered_under_its_own_name_and_goes_with_lower_priority(rapid: Rapid) -> None:
    rapid.ask(need(NeedKind.HOLIDAY_PAY), other_case(1))
    rapid.put()
    priorities = dict(rapid.rows("SELECT c.case_id, o.priority FROM orders AS o JOIN cases AS c USING (case_no)"))
    assert priorities == {CASE_ID: 3, "SAK1": 4}
    assert rapid.rows("SELECT priority FROM queue.message ORDER BY priority") == [(3,), (4,)]
    rapid.settle(rapid.rail())
    answers = [message["@løsning"] for _, message in rapid.published() if "@løsning" in message]
    statuses = [answer["Feriepengeutbetaling"]["status"] for answer in answers if "Feriepengeutbetaling" in answer]
    assert statuses == ["MOTTATT", "OVERFØRT", "AKSEPTERT"]


@pytest.mark.parametrize(
    ("severity", "words", "status", "text"),
    [
        ("00", "", "AKSEPTERT", "Oppdraget ble akseptert uten feil"),
        ("04", "Skatteopplysninger ikke funnet", "AKSEPTERT_MED_FEIL", "Skatteopplysninger ikke funnet"),
        ("04", "", "AKSEPTERT_MED_FEIL", "Oppdraget ble akseptert, men noe er feil"),
        ("08", "Noe er galt", "AVVIST", "Noe er galt"),
        (
            "12",
            "Registeret svarer ikke",
            "FEIL",
            "Teknisk feil fra oppdrag, OS har angivelig forsøkt et par ganger og til slutt avvist. Forsøk på nytt",
        ),
    ],
)
def test_each_severity_has_its_answer(rapid: Rapid, severity: str, words: str, status: str, text: str) -> None:
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    rapid.published()
    rapid.settle([receipt_with(receipt, severity, words)])
    _, said, answer = [message for _, message in rapid.published()]
    assert (said["status"], said["feilkode_oppdrag"], said["beskrivelse"]) == (status, severity, text)
    assert ("beskrivendemelding" in said) == bool(words)
    assert (answer["@løsning"]["Utbetaling"]["status"], answer["@løsning"]["Utbetaling"]["beskrivelse"]) == (status, text)
    assert rapid.others() == []


@pytest.mark.parametrize("severity", ["", "99", "XX"])
def test_an_unheard_of_severity_is_reported_and_the_order_stays_open_for_a_later_receipt(rapid: Rapid, severity: str) -> None:
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    rapid.published()
    rapid.settle([receipt_with(receipt, severity, "rart")])
    raw, said, answer = [message for _, message in rapid.published()]
    assert (raw["@event_name"], said["feilkode_oppdrag"], said["status"]) == ("oppdrag_kvittering", "??", "FEIL")
    unheard = f"Spenn forstår ikke responsen fra Oppdrag. Fikk ukjent kode: {severity or 'UKJENT'}. rart"
    assert answer["@løsning"]["Utbetaling"]["beskrivelse"] == unheard
    assert rapid.order_states(CASE_ID) == ["unknown"]
    rapid.ask(need())
    assert rapid.solution()["beskrivelse"] == unheard
    rapid.settle([receipt])
    assert rapid.heard() == ["raw receipt", "rail AKSEPTERT", "AKSEPTERT"]
    assert rapid.order_states(CASE_ID) == ["accepted"]


def test_a_receipt_that_overtakes_the_sender_is_published_after_overfort(rapid: Rapid) -> None:
    rapid.ask(need())
    rapid.published()
    rapid.sender.dequeue(10)
    ((order_id, xml),) = rapid.rows("SELECT order_id::text, message FROM orders")
    assert isinstance(xml, bytes)
    rapid.requests.put([Outgoing(str(order_id), xml, REPLIES)])
    rapid.settle(rapid.rail())
    assert rapid.heard() == ["raw receipt", "queued OVERFØRT", "OVERFØRT", "rail AKSEPTERT", "AKSEPTERT"]
    assert rapid.sender.sent([(str(order_id), 1)]) == 0
    assert rapid.heard() == []


def test_a_change_and_a_cessation_are_forwarded_as_they_are(rapid: Rapid) -> None:
    ids = [str(UUID(int=number)) for number in range(3)]
    rapid.ask(need(utbetalingId=ids[0]))
    rapid.finish()
    longer = line(
        delytelseId=2, refDelytelseId=1, refFagsystemId=CASE_ID, fom="2024-03-23", tom="2024-03-29", datoKlassifikFom="2024-03-23"
    )
    rapid.ask(need(utbetalingId=ids[1], endringskode="ENDR", linjer=[line(endringskode="UEND"), longer]))
    rapid.finish()
    gone = cessation("2024-03-04", delytelseId=2, fom="2024-03-23", tom="2024-03-29")
    rapid.ask(need(utbetalingId=ids[2], endringskode="ENDR", linjer=[gone]))
    rapid.finish()
    assert rapid.order_states(CASE_ID) == ["accepted"] * 3
    assert rapid.heard() == WHOLE_WAY * 3
    assert rapid.rows("SELECT kind FROM rail.entry ORDER BY sequence") == [("line",), ("line",), ("cessation",)]


def test_a_deduction_is_sent_positive_with_its_sign_apart(rapid: Rapid) -> None:
    rapid.ask(need(NeedKind.HOLIDAY_PAY, linjer=[line(satstype="ENG", klassekode="SPREFAGFER-IOP", sats=-300)]))
    xml = rapid.one("SELECT message FROM orders")
    assert isinstance(xml, bytes)
    assert b"<sats>300</sats>" in xml
    assert b"<fradragTillegg>F</fradragTillegg>" in xml
    assert rapid.published()[1][1]["totalbeløp"] == -300
    rapid.finish()


def test_a_need_without_a_key_is_answered_without_one(rapid: Rapid) -> None:
    rapid.ask(need(), key=None)
    rapid.finish()
    keys = [(key, message["@event_name"]) for key, message in rapid.published()]
    assert {key for key, name in keys if name != "transaksjon_status"} == {None}
    assert [key for key, name in keys if name == "transaksjon_status"] == [PERSON.encode()]
