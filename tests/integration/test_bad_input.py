"""Whatever comes in is answered or kept with the reason, and what comes behind it is served (helved_stream §2.9, §3.8, §4.5; design §12).

Everything here goes the whole way: embedded log, intake, hub, queue, rail, outbox, relay, status topic, with all roles running.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import psycopg
import pytest

from conftest import new_database
from hub_messages import DECIDED, FORTNIGHT, OTHER_PERSON, PLAIN, Json, aap, dp, historisk, payment_uid, text, tp, ts, ts_payment, valp
from kvitt.app import Hub
from kvitt.config import Settings
from kvitt.doors.embedded_log import NewRecord, append
from kvitt.rail.emulator import Chance, DamageForm, Faults, received, set_faults, spans
from kvitt.rail.emulator.damage import damage
from kvitt.rail.queue import Outgoing
from kvitt.rail.table_queue import TableQueue
from kvitt.rules.answers import Answer, Status
from kvitt.rules.values import Scheme
from kvitt.store.database import connect
from kvitt.wire import status, topics
from kvitt.wire.partitions import partition_of
from patience import until

DP, AAP, TS, TP, HIST, VALP = (
    Scheme.DAGPENGER,
    Scheme.AAP,
    Scheme.TILLEGGSSTONADER,
    Scheme.TILTAKSPENGER,
    Scheme.HISTORISK,
    Scheme.VALP,
)
SETTINGS = Settings(lease_seconds=2.0)
Row = tuple[object, ...]


class Path:
    """The whole way of a message, with everything running."""

    def __init__(self, conninfo: str) -> None:
        self.connection: psycopg.Connection[Row] = connect(conninfo)
        self.receipts = TableQueue(conninfo, SETTINGS.reply_queue)
        self._numbers = count()

    def case(self) -> str:
        """A case id that nobody has used."""
        return f"S-{next(self._numbers)}"

    def send(self, scheme: Scheme, *records: tuple[bytes | None, bytes | None], headers: bytes = b"[]") -> None:
        """Appends records to the scheme's topic."""
        topic = topics.primary_input(scheme)
        append(self.connection, [NewRecord(topic, key, value, headers) for key, value in records], datetime.now(UTC))

    def answers(self, key: bytes) -> list[Answer]:
        """What the status topic says under a key."""
        query = "SELECT value FROM log_records WHERE topic = %s AND key = %s ORDER BY partition, position"
        return [status.decode(bytes(value)) for (value,) in self.connection.execute(query, (topics.STATUSES, key)) if isinstance(value, bytes)]

    def final(self, key: bytes) -> Answer:
        """The OK or FEILET of a key, as soon as it is there."""

        def finals() -> list[Answer]:
            return [answer for answer in self.answers(key) if answer.status in (Status.OK, Status.FAILED)]

        until(finals, what=f"{key!r} was not answered")
        (answer,) = finals()
        return answer

    def good_behind(self, scheme: Scheme, *bad: tuple[bytes | None, bytes | None], headers: bytes = b"[]") -> None:
        """Puts records and right behind them, in the same partition, a good one; returns when that is answered OK."""
        case = self.case()
        wanted = partition_of(bad[0][0]) if bad[0][0] else 0
        key = next(each for each in (f"{case}-{n}".encode() for n in count()) if partition_of(each) == wanted)
        self.send(scheme, *bad, (key, text(PLAIN[scheme](case))), headers=headers)
        assert self.final(key).status is Status.OK

    def refused(self, scheme: Scheme, body: Json | bytes) -> Answer:
        """The refusal of a message, after the good one behind it was answered OK."""
        key = str(uuid4()).encode()
        self.good_behind(scheme, (key, body if isinstance(body, bytes) else text(body)))
        (answer,) = self.answers(key)
        assert answer.status is Status.FAILED
        return answer

    def accepted(self, scheme: Scheme, body: Json) -> None:
        """A message that is paid."""
        key = str(uuid4()).encode()
        self.send(scheme, (key, text(body)))
        assert self.final(key).status is Status.OK

    def dead(self, body: bytes) -> str:
        """Why a body was kept as a dead letter."""
        query = "SELECT reason FROM dead_letters WHERE body = %s AND state = 'open'"
        ((reason,),) = self.connection.execute(query, (body,)).fetchall()
        return str(reason)

    def days(self, area: str, case: str) -> list[tuple[str, str, int]]:
        """What the rail pays."""
        return [(str(span.start), str(span.end), span.amount) for span in spans(self.connection, area, case)]


@pytest.fixture(scope="module")
def path(server: str, template: str) -> Iterator[Path]:
    from psycopg.conninfo import conninfo_to_dict

    with new_database(server, str(conninfo_to_dict(template)["dbname"])) as conninfo:
        hub = Hub(conninfo, SETTINGS)
        hub.start()
        way = Path(conninfo)
        yield way
        way.connection.close()
        way.receipts.close()
        hub.stop()


def with_day(case: str, **fields: object) -> Json:
    """A message of dagpenger whose only day has other fields."""
    day = {"meldeperiode": FORTNIGHT, "dato": "2026-06-01", "sats": 1000, "utbetaltBeløp": 500, "utbetalingstype": "Dagpenger"}
    return dp(case, utbetalinger=[{**day, **fields}])


def without(body: Json, *names: str) -> Json:
    return {name: value for name, value in body.items() if name not in names}


def deep(levels: int) -> bytes:
    return text(dp("S"))[:-1] + b', "ukjent": ' + b"[" * levels + b"]" * levels + b"}"


UNREADABLE: list[tuple[str, Scheme, Json | bytes]] = [
    ("nothing at all", DP, b""),
    ("not JSON", DP, b"hello"),
    ("half a message", DP, text(dp("S"))[:-20]),
    ("something behind the message", DP, text(dp("S")) + b"x"),
    ("null", AAP, b"null"),
    ("a list", TS, b"[]"),
    ("a number", TP, b"1"),
    ("bytes that are no UTF-8", DP, text(dp("S")).replace(b"BEH-1", b"BEH-\xff")),
    ("UTF-16", DP, text(dp("S")).decode().encode("utf-16")),
    ("a lone surrogate", DP, text(dp("S")).replace(b"BEH-1", b"BEH-\\ud800")),
    ("NUL in a text", DP, text(dp("S")).replace(b"BEH-1", b"BEH-\\u0000")),
    ("a raw NUL in a text", DP, text(dp("S")).replace(b"BEH-1", b"BEH-\0")),
    ("a character that XML can not carry", TS, text(ts("S")).replace(b"BEH-1", b"BEH-\\u0001")),
    ("10 MB of open brackets", DP, b"[" * 10_000_000),
    ("10 MB of nested objects", DP, b'{"a":' * 2_000_000),
    ("deep nesting in a field that nobody reads", DP, deep(1000)),
    ("5 MB deep in a field that nobody reads", DP, deep(2_500_000)),
    ("more than 16 MB", DP, text(dp("S" * 17_000_000))),
    ("a missing field", DP, without(dp("S"), "behandlingId")),
    ("a missing id", AAP, without(aap("S"), "sakId")),
    ("null for an id", TS, ts("S", sakId=None)),
    ("a number for an id", DP, dp("S", sakId=7)),
    ("text for a list", DP, dp("S", utbetalinger="ingen")),
    ("text for an amount", DP, with_day("S", utbetaltBeløp="553")),
    ("a negative amount", DP, with_day("S", utbetaltBeløp=-1)),
    ("half a krone", DP, with_day("S", utbetaltBeløp=0.5)),
    ("more than 32 bits", DP, with_day("S", utbetaltBeløp=4_294_967_296)),
    ("an amount without end", DP, text(with_day("S")).replace(b"500", b"9" * 5000)),
    ("infinity", DP, text(with_day("S")).replace(b"500", b"1e999")),
    ("not a number", DP, text(with_day("S")).replace(b"500", b"NaN")),
    ("a negative rate", DP, with_day("S", sats=-1)),
    ("a negative grant", VALP, valp("S", -1)),
    ("a fraction of a grant", VALP, valp("S", 1.25)),  # type: ignore[arg-type]
    ("truth for an amount", DP, with_day("S", utbetaltBeløp=True)),
    ("an unknown kind", DP, with_day("S", utbetalingstype="Annet")),
    ("an unknown rate type", TS, ts("S", rate="UKE")),
    ("a benefit of another scheme", TS, ts("S", ts_payment(payment_uid("S"), benefit="ARBEIDSTRENING"))),
    ("an unknown benefit", TP, tp("S", benefit="SPORT")),
    ("the child twin by its own name", TP, tp("S", benefit="ARBEIDSTRENING_BARN")),
    ("an unknown old benefit", HIST, historisk("S", benefit="LUPE")),
    ("an unknown grant", VALP, valp("S", tilskuddstype="LOMMEPENGER")),
    ("an unknown cause of a hold-back", AAP, aap("S", avvent={"fom": "2026-06-01", "tom": "2026-06-02", "årsak": "TVIL"})),
    ("an id that is no UUID", AAP, aap("S", uid="1")),
    ("a day that does not exist", DP, with_day("S", dato="2026-02-30")),
    ("a day without a month", DP, with_day("S", dato="2026-06")),
    ("a day as too short an array", DP, with_day("S", dato=[2026, 6])),
    ("a time that is none", DP, dp("S", vedtakstidspunktet="i går")),
    ("a caseworker that must be named", VALP, without(valp("S"), "saksbehandler")),
]


@pytest.mark.parametrize(("scheme", "body"), [pytest.param(scheme, body, id=name) for name, scheme, body in UNREADABLE])
def test_what_can_not_be_read_is_refused_by_the_contracts_words_and_kept(path: Path, scheme: Scheme, body: Json | bytes) -> None:
    value = body if isinstance(body, bytes) else text(body)
    error = path.refused(scheme, value).error
    assert error
    wanted = f"DeserialiseringFeiletException: Feil ved deserialisering av melding fra {topics.primary_input(scheme)}"
    assert (error.status, error.text, error.system) == (400, wanted, "HELVED")
    assert path.dead(value)


def test_the_sender_of_an_internal_topic_is_told_the_name_it_knows(path: Path) -> None:
    key = b"internal"
    append(path.connection, [NewRecord(topics.INTERNAL_INPUTS[DP], key, b"{")], datetime.now(UTC))
    error = path.final(key).error
    assert error
    assert error.text.endswith("fra teamdagpenger.utbetaling.v1")


def ts_spans(*days: tuple[str, str, int], rate: str = "UKEDAG") -> Callable[[str], Json]:
    entries = [{"fom": start, "tom": end, "beløp": amount} for start, end, amount in days]
    return lambda case: ts(case, {**ts_payment(payment_uid(case)), "perioder": entries}, rate=rate)


def aap_entry(**fields: object) -> Callable[[str], Json]:
    entry = {"fom": "2026-06-01", "tom": "2026-06-12", "sats": 1000, "utbetaltBeløp": 500}
    return lambda case: aap(case, utbetalinger=[{"id": payment_uid(case), **entry, **fields}])


def two(case: str) -> Json:
    return ts(case, ts_payment(payment_uid(case)), ts_payment(payment_uid(case)))


CREATE = "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling"
ID30, ID31 = "S" * 30, "S" * 31
REFUSED: list[tuple[str, Scheme, Callable[[str], Json], int, str, str]] = [
    ("from after to", AAP, aap_entry(fom="2026-06-13"), 400, "Tom må være >= fom", "#ugyldig-periode"),
    ("from after to, weekly", TS, ts_spans(("2026-06-05", "2026-06-01", 5)), 400, "Tom må være >= fom", "#ugyldig-periode"),
    ("from after to, tp", TP, lambda c: tp(c, perioder=[{**_tp_entry(), "fom": "2026-06-13"}]), 400, "Tom må være >= fom", "#ugyldig-periode"),
    ("from after to, valp", VALP, lambda c: valp(c, periode={"fom": "2026-06-02", "tom": "2026-06-01"}), 400, "Tom må være >= fom", ""),
    ("overlap", TS, ts_spans(("2026-06-01", "2026-06-05", 5), ("2026-06-04", "2026-06-09", 6)), 400, "Perioder kan ikke overlappe", ""),
    (
        "overlap of one-off amounts",
        TS,
        ts_spans(("2026-06-01", "2026-06-05", 5), ("2026-06-04", "2026-06-09", 6), rate="EN_GANG"),
        400,
        "Perioder kan ikke overlappe",
        "",
    ),
    ("twice from", TS, ts_spans(("2026-06-01", "2026-06-05", 5), ("2026-06-01", "2026-06-09", 6)), 400, "Kan ikke sende inn duplikate perioder", ""),
    ("twice to", TS, ts_spans(("2026-06-01", "2026-06-05", 5), ("2026-06-03", "2026-06-05", 6)), 400, "Kan ikke sende inn duplikate perioder", ""),
    ("1101 days", TS, ts_spans(("2023-01-01", "2026-01-05", 5)), 400, "Utbetalinger kan ikke strekke seg over 1100 dager", "#for-lang-utbetaling"),
    (
        "1101 days in two periods",
        TS,
        ts_spans(("2026-01-05", "2026-01-05", 5), ("2023-01-01", "2023-01-01", 5)),
        400,
        "Utbetalinger kan ikke strekke seg over 1100 dager",
        "",
    ),
    ("nothing a day", TS, ts_spans(("2026-06-01", "2026-06-05", 0)), 400, "Beløp må være > 0", "#ugyldig-belop"),
    ("nothing among something", TP, lambda c: tp(c, 0), 400, "Beløp må være > 0", "#ugyldig-belop"),
    ("nothing once", HIST, lambda c: historisk(c, 0), 400, "Beløp må være > 0", "#ugyldig-belop"),
    (
        "a one-off across the year",
        HIST,
        lambda c: historisk(c, perioder=[{"fom": "2025-12-31", "tom": "2026-01-01", "beløp": 1}]),
        400,
        "Engangsutbetalinger kan ikke strekke seg over årsskifte",
        "#engangs-aarsskifte",
    ),
    ("31 characters of case", DP, lambda _: dp(ID31), 400, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
    ("1 MB of case", DP, lambda _: dp("S" * 1_000_000), 400, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
    ("no characters of case", AAP, lambda _: aap("", uid=str(uuid4())), 400, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
    ("blanks for a case", TP, lambda _: tp("   "), 400, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
    ("a case with a blank behind", DP, lambda c: dp(f"{c} "), 400, "Sak-ID og behandling-ID kan ikke begynne eller slutte med", ""),
    ("a case with a mark before", DP, lambda c: dp(f"\ufeff{c}"), 400, "Sak-ID og behandling-ID kan ikke begynne eller slutte med", ""),
    ("31 characters of decision", DP, lambda c: dp(c, behandlingId=ID31), 400, "Behandling-ID må være mellom 1 og 30 tegn", "#ugyldig-behandling-id"),
    ("1 MB of decision", TS, lambda c: ts(c, behandlingId="B" * 1_000_000), 400, "Behandling-ID må være mellom 1 og 30 tegn", ""),
    ("no characters of decision", TS, lambda c: ts(c, behandlingId=""), 400, "Behandling-ID må være mellom 1 og 30 tegn", ""),
    ("letters for a person", DP, lambda c: dp(c, ident="0102032234X"), 400, "Feltet personident må være 11 siffer (person)", ""),
    ("1 MB of person", AAP, lambda c: aap(c, ident="1" * 1_000_000), 400, "Feltet personident må være 11 siffer (person)", ""),
    ("foreign digits for a person", DP, lambda c: dp(c, ident="٠١٠٢٠٣٢٢٣٤٥"), 400, "Feltet personident må være 11 siffer (person)", ""),
    ("a long caseworker", DP, lambda c: dp(c, saksbehandler="Z90000001"), 400, "Feltet saksbehandler må være mellom 1 og 8 tegn", ""),
    ("an empty approver", DP, lambda c: dp(c, beslutter=""), 400, "Feltet beslutter må være mellom 1 og 8 tegn", ""),
    ("an office of letters", VALP, lambda c: valp(c, kostnadssted="NAV"), 400, "Feltet betalendeEnhet/kostnadssted må være", ""),
    ("a hold-back that ends before it starts", AAP, lambda c: aap(c, avvent={"fom": "2026-06-05", "tom": "2026-06-01"}), 400, "Feltet avvent", ""),
    ("one payment twice", TS, two, 400, "Samme utbetaling (id) kan bare forekomme én gang", ""),
    ("a daily rate", TS, lambda c: ts(c, rate="DAG"), 400, "periodetype 'DAG' for tilleggsstønader er ikke implementert", ""),
    ("a daily rate of old", HIST, lambda c: historisk(c, periodetype="DAG"), 400, "periodetype 'DAG' for historisk er ikke implementert", ""),
    ("a benefit without class code", TS, lambda c: ts(c, ts_payment(payment_uid(c), benefit="FLYTTING_AAP")), 400, "Stønad FLYTTING_AAP har", ""),
    (
        "the umbrella area for a benefit that may not",
        TS,
        lambda c: ts(c, {**ts_payment(payment_uid(c), benefit="DAGLIG_REISE_AAP"), "brukFagområdeTillst": True}),
        400,
        "Fant stønadstype DAGLIG_REISE_AAP ved bruk av fagområde TILLST. Tillater bare en av: [TILSYN_BARN_ENSLIG_FORSØRGER, ",
        "",
    ),
    ("a cessation of nothing", TS, lambda c: ts(c, ts_payment(payment_uid(c), spans=())), 404, "previous utbetaling for ", ""),
    ("a cessation of nothing old", HIST, lambda c: historisk(c, perioder=[]), 404, "previous utbetaling for ", ""),
    ("a grant of nothing", VALP, lambda c: valp(c, 0), 404, "previous utbetaling for ", ""),
]


def _tp_entry() -> Json:
    return {"meldeperiode": FORTNIGHT, "fom": "2026-06-01", "tom": "2026-06-12", "beløp": 285, "stønad": "ARBEIDSTRENING"}


@pytest.mark.parametrize(
    ("scheme", "body", "code", "words", "doc"), [pytest.param(*rest, id=name) for name, *rest in REFUSED]
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_broken_rule_is_told_by_the_contracts_words(
    path: Path, scheme: Scheme, body: Callable[[str], Json], code: int, words: str, doc: str, dry_run: bool
) -> None:
    case = path.case()
    answer = path.refused(scheme, {**body(case), "dryrun": dry_run})
    assert answer.error
    assert (answer.error.status, answer.error.text[: len(words)], answer.error.system) == (code, words, "HELVED")
    assert doc in answer.error.doc
    assert answer.dry_run is dry_run
    assert answer.details is None
    assert path.connection.execute("SELECT count(*) FROM orders JOIN cases USING (case_no) WHERE case_id = %s", (case,)).fetchone() == (0,)


def test_the_first_broken_rule_is_told(path: Path) -> None:
    case = path.case()
    body = ts_spans(("2026-06-01", "2026-06-05", 0), ("2026-06-01", "2026-06-09", 6))(case)
    error = path.refused(TS, {**body, "behandlingId": ID31, "personident": "x"}).error
    assert error
    assert error.text == "Kan ikke sende inn duplikate perioder"


@pytest.mark.parametrize("scheme", list(PLAIN))
def test_ids_of_30_characters_are_served(path: Path, scheme: Scheme) -> None:
    path.accepted(scheme, PLAIN[scheme]((path.case() + ID30)[:30], behandlingId="B" * 30))


def _unlike(**changes: object) -> Callable[[str], Json]:
    return lambda case: ts(case, **changes)  # type: ignore[arg-type]


LOCKED: list[tuple[str, Scheme, Callable[[str], Json], str]] = [
    ("another person", DP, lambda c: dp(c, 7, ident=OTHER_PERSON), "personident"),
    ("another person, whole case empty", AAP, lambda c: aap(c, ident=OTHER_PERSON, utbetalinger=[]), "personident"),
    ("another person for another payment", TS, lambda c: ts(c, ts_payment(str(uuid4())), personident=OTHER_PERSON), "personident"),
    ("another rate type", TS, lambda c: ts(c, rate="MND"), "periodetype"),
    ("another benefit", TS, lambda c: ts(c, ts_payment(payment_uid(c), 7, benefit="TILSYN_BARN_ETTERLATTE")), "stønad"),
    ("another old benefit", HIST, lambda c: historisk(c, 7, benefit="PARYKK"), "stønad"),
    ("another grant", VALP, lambda c: valp(c, 7, tilskuddstype="STUDIEREISE"), "stønad"),
    ("a cessation for another person", TS, lambda c: ts(c, ts_payment(payment_uid(c), spans=()), personident=OTHER_PERSON), "personident"),
]


@pytest.mark.parametrize(("scheme", "changed", "field"), [pytest.param(*rest, id=name) for name, *rest in LOCKED])
def test_what_belongs_to_a_payment_for_life_can_not_be_changed(path: Path, scheme: Scheme, changed: Callable[[str], Json], field: str) -> None:
    case = path.case()
    path.accepted(scheme, PLAIN[scheme](case))
    error = path.refused(scheme, changed(case)).error
    assert error
    assert (error.status, error.text) == (400, f"Kan ikke endre '{field}'")
    assert error.doc.endswith("/async/kom_i_gang/endre_utbetaling#immutable-field")
    path.accepted(scheme, PLAIN[scheme](case))


@pytest.mark.parametrize("scheme", [AAP, TS, HIST, VALP])
def test_a_payment_id_of_another_case_is_refused(path: Path, scheme: Scheme) -> None:
    owner, other = path.case(), path.case()
    path.accepted(scheme, PLAIN[scheme](owner))
    stolen = json.loads(text(PLAIN[scheme](other)).replace(payment_uid(other).encode(), payment_uid(owner).encode()))
    error = path.refused(scheme, stolen).error
    assert error
    assert (error.status, error.text) == (400, "Kan ikke endre 'sakId'")


def test_an_office_alone_is_no_change(path: Path) -> None:
    case = path.case()
    path.accepted(TP, tp(case))
    error = path.refused(TP, tp(case, perioder=[{**_tp_entry(), "betalendeEnhet": "0315"}])).error
    assert error
    assert (error.status, error.text) == (409, "Ingen reell endring")


EMPTY: dict[Scheme, Callable[[str], Json]] = {
    DP: lambda c: dp(c, utbetalinger=[]),
    AAP: lambda c: aap(c, utbetalinger=[]),
    TP: lambda c: tp(c, perioder=[]),
    TS: lambda c: ts(c, utbetalinger=[]),
    HIST: lambda c: historisk(c, perioder=[]),
    VALP: lambda c: valp(c, 0),
}
AREA = {DP: "DP", AAP: "AAP", TP: "TILTPENG", TS: "TILLSTPB", HIST: "HELSREF", VALP: "TILSOPP"}


@pytest.mark.parametrize("scheme", [DP, AAP, TP, TS])
@pytest.mark.parametrize("dry_run", [False, True])
def test_nothing_about_an_unknown_case_is_fine(path: Path, scheme: Scheme, dry_run: bool) -> None:
    key = str(uuid4()).encode()
    path.good_behind(scheme, (key, text({**EMPTY[scheme](path.case()), "dryrun": dry_run})))
    assert path.answers(key) == [Answer(Status.OK, None, None, dry_run)]
    told = path.connection.execute("SELECT count(*) FROM log_records WHERE topic = %s AND key = %s", (topics.DRY_RUNS[scheme], key)).fetchone()
    assert told == (int(dry_run),)


@pytest.mark.parametrize("scheme", [DP, AAP])
def test_only_zero_amounts_about_an_unknown_case_are_fine(path: Path, scheme: Scheme) -> None:
    key = str(uuid4()).encode()
    path.good_behind(scheme, (key, text(PLAIN[scheme](path.case(), 0))))
    assert path.answers(key) == [Answer(Status.OK)]


@pytest.mark.parametrize("scheme", [DP, AAP, TP, HIST, VALP])
def test_nothing_about_a_known_case_or_payment_ceases_it_and_again_is_no_difference(path: Path, scheme: Scheme) -> None:
    case = path.case()
    path.accepted(scheme, PLAIN[scheme](case))
    assert path.days(AREA[scheme], case)
    path.accepted(scheme, EMPTY[scheme](case))
    assert path.days(AREA[scheme], case) == []
    path.accepted(scheme, EMPTY[scheme](case))
    assert path.connection.execute("SELECT count(*) FROM orders JOIN cases USING (case_no) WHERE case_id = %s", (case,)).fetchone() == (2,)


def test_nothing_about_a_known_case_that_names_its_payments_changes_nothing(path: Path) -> None:
    case = path.case()
    path.accepted(TS, ts(case))
    before = path.days("TILLSTPB", case)
    path.accepted(TS, EMPTY[TS](case))
    assert path.days("TILLSTPB", case) == before


@pytest.mark.parametrize("scheme", [DP, AAP, TP, HIST, VALP])
def test_a_dry_run_of_nothing_about_a_known_case_simulates_the_cessation(path: Path, scheme: Scheme) -> None:
    case, key = path.case(), str(uuid4()).encode()
    path.accepted(scheme, PLAIN[scheme](case))
    path.good_behind(scheme, (key, text({**EMPTY[scheme](case), "dryrun": True})))
    query = "SELECT value FROM log_records WHERE topic = %s AND key = %s"
    ((request,),) = path.connection.execute(query, (topics.SIMULATIONS, key)).fetchall()
    assert isinstance(request, bytes)
    assert b"OPPH" in request
    assert path.days(AREA[scheme], case)


def test_a_record_that_can_not_be_answered_is_kept_with_the_reason(path: Path) -> None:
    body = text(dp(path.case()))
    path.good_behind(DP, (None, body))
    assert path.dead(body) == "the record has no key, so its sender can not be answered"


@pytest.mark.parametrize("key", [b"\xff\xfe", b"a\0b", b"\xed\xa0\x80"])
def test_a_key_that_is_no_text_is_kept_with_the_reason(path: Path, key: bytes) -> None:
    body = text(dp(path.case()))
    path.good_behind(DP, (key, body))
    assert path.dead(body) == "the key is not UTF-8 text, so its sender can not be answered"


def test_an_empty_key_is_no_key(path: Path) -> None:
    body = text(dp(path.case()))
    path.good_behind(DP, (b"", body))
    assert path.dead(body) == "the record has no key, so its sender can not be answered"


@pytest.mark.parametrize("key", [b"gone", None, b"\xff"])
def test_a_tombstone_is_passed_by(path: Path, key: bytes | None) -> None:
    before = path.connection.execute("SELECT count(*) FROM dead_letters").fetchone()
    path.good_behind(DP, (key, None))
    assert path.connection.execute("SELECT count(*) FROM dead_letters").fetchone() == before


@pytest.mark.parametrize("key", ["æøå 😀", " ", "k" * 1_000_000, '{"not": "text"}', "a\tb\r\nc", "%s'; --"])
def test_any_text_is_a_key(path: Path, key: str) -> None:
    path.send(DP, (key.encode(), text(dp(path.case()))))
    assert path.final(key.encode()).status is Status.OK


@pytest.mark.parametrize(
    "headers",
    [b"", b"x", b"{}", b"null", b"[1]", b'[["a"]]', b'[["a", 1]]', b'[["a", "b", "c"]]', b"\xff\x00", b'[["a", "\\ud800"]]', b"[" * 100_000],
)
def test_headers_that_are_none_harm_nobody(path: Path, headers: bytes) -> None:
    key = str(uuid4()).encode()
    path.send(DP, (key, text(dp(path.case()))), headers=headers)
    assert path.final(key).status is Status.OK


def test_headers_of_the_sender_are_carried_to_the_answer(path: Path) -> None:
    key = str(uuid4()).encode()
    headers = topics.encode_headers([("trace", "1"), ("trace", "2"), ("fagsystem", "ANNET"), ("\0", "\0")])
    path.send(DP, (key, text(dp(path.case()))), headers=headers)
    path.final(key)
    query = "SELECT headers FROM log_records WHERE topic = %s AND key = %s"
    for (carried,) in path.connection.execute(query, (topics.STATUSES, key)):
        assert isinstance(carried, bytes)
        pairs = topics.decode_headers(carried)
        assert dict(pairs)["trace"] == "2"
        assert dict(pairs)["fagsystem"] == "DAGPENGER"


def waiting_for_receipt(path: Path) -> tuple[bytes, str, bytes]:
    """An order at the rail whose receipt was swallowed: the message's key, its case, and the receipt that never came."""
    case, key = path.case(), str(uuid4()).encode()
    set_faults(path.connection, Faults(swallow=Chance(next=1)))
    path.send(DP, (key, text(dp(case))))
    query = "SELECT o.xml FROM orders AS o JOIN cases USING (case_no) WHERE case_id = %s AND o.state = 'sent'"
    until(lambda: path.connection.execute(query, (case,)).fetchone())
    until(lambda: any(each.case_id == case for each in received(path.connection)))
    (xml,) = path.connection.execute(query, (case,)).fetchone() or (b"",)
    assert isinstance(xml, bytes)
    return key, case, xml


def mmel(severity: str | None = "00", words: str = "") -> bytes:
    grade = "" if severity is None else f"<alvorlighetsgrad>{severity}</alvorlighetsgrad>"
    return f"<mmel><systemId>231-OPPD</systemId>{grade}<beskrMelding>{words}</beskrMelding></mmel>".encode()


def receipt(xml: bytes, answer: bytes) -> bytes:
    return xml.replace(b"<oppdrag-110>", answer + b"<oppdrag-110>", 1)


def deliver(path: Path, *bodies: bytes) -> None:
    path.receipts.put([Outgoing(str(uuid4()), body) for body in bodies])


def verdict_on(path: Path, body: bytes) -> str:
    """What a receipt turned out to be, as soon as it is known."""
    query = "SELECT outcome FROM receipts WHERE body = %s"
    until(lambda: path.connection.execute(query, (body,)).fetchone())
    return str((path.connection.execute(query, (body,)).fetchone() or ("",))[0])


@pytest.mark.parametrize("form", [form for form in DamageForm if form is not DamageForm.TRUNCATED])
@pytest.mark.parametrize("severity", ["00", "08"])
def test_a_damaged_receipt_is_read_by_what_it_says(path: Path, form: DamageForm, severity: str) -> None:
    key, _, xml = waiting_for_receipt(path)
    deliver(path, damage(receipt(xml, mmel(severity, "Avvist for prøve")), form))
    answer = path.final(key)
    assert answer.status is (Status.OK if severity == "00" else Status.FAILED)
    assert severity == "00" or (answer.error and answer.error.status == 400)


BOMB = '<?xml version="1.0"?><!DOCTYPE oppdrag [<!ENTITY a "' + "x" * 1000 + '"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
BROKEN: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("nothing", lambda _: b"", "unreadable"),
    ("not XML", lambda _: b"ikke xml", "unreadable"),
    ("cut off", lambda xml: damage(receipt(xml, mmel()), DamageForm.TRUNCATED), "unreadable"),
    ("another root", lambda xml: receipt(xml, mmel()).replace(b"ns2:oppdrag", b"ns2:annet"), "unreadable"),
    ("a document type", lambda xml: b"<!DOCTYPE oppdrag>" + receipt(xml, mmel())[55:], "unreadable"),
    ("an entity bomb", lambda xml: BOMB.encode() + receipt(xml, mmel("00", "&b;"))[55:], "unreadable"),
    ("an outer entity", lambda xml: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + receipt(xml, mmel("&x;"))[55:], "unreadable"),
    ("no order in it", lambda _: b"<oppdrag>" + mmel() + b"</oppdrag>", "unreadable"),
    ("10 MB", lambda xml: receipt(xml, mmel("00", "x" * 10_000_000)), "unreadable"),
    ("10 MB of nesting", lambda _: b"<a>" * 3_000_000, "unreadable"),
    ("random bytes", lambda _: bytes(range(256)) * 40, "unreadable"),
    ("an unknown case", lambda xml: receipt(xml, mmel()).replace(b"<fagsystemId>S-", b"<fagsystemId>X-"), "unmatched"),
    ("an unknown area", lambda xml: receipt(xml, mmel()).replace(b">DP<", b">XX<"), "unmatched"),
    ("an unknown line", lambda xml: receipt(xml, mmel()).replace(b"<delytelseId>", b"<delytelseId>A"), "unmatched"),
    ("an empty order", lambda _: b"<oppdrag>" + mmel() + b"<oppdrag-110/></oppdrag>", "unmatched"),
    ("no severity", lambda xml: receipt(xml, mmel(None)), "unclear"),
    ("no answer", lambda xml: xml, "unclear"),
    ("an empty severity", lambda xml: receipt(xml, mmel("")), "unclear"),
    ("a severity nobody has heard of", lambda xml: receipt(xml, mmel("16", "Uvanlig")), "unclear"),
]


@pytest.mark.parametrize(("broken", "outcome"), [pytest.param(*rest, id=name) for name, *rest in BROKEN])
def test_a_receipt_that_tells_nothing_is_kept_and_the_right_one_still_counts(path: Path, broken: Callable[[bytes], bytes], outcome: str) -> None:
    key, case, xml = waiting_for_receipt(path)
    bad = broken(xml) + (b"" if outcome == "unclear" else f"<!-- {case} -->".encode())
    deliver(path, bad)
    assert verdict_on(path, bad) == outcome
    state = "SELECT state FROM orders JOIN cases USING (case_no) WHERE case_id = %s"
    assert path.connection.execute(state, (case,)).fetchone() == ("unknown" if outcome == "unclear" else "sent",)
    deliver(path, receipt(xml, mmel()))
    until(lambda: path.answers(key)[-1].status is Status.OK)
    said = [answer.status.value for answer in path.answers(key)]
    assert said == ["MOTTATT", "HOS_OPPDRAG", *(["FEILET"] if outcome == "unclear" else []), "OK"]


def test_an_unheard_of_severity_is_told_with_the_raw_text(path: Path) -> None:
    key, _, xml = waiting_for_receipt(path)
    deliver(path, receipt(xml, mmel("16", "Uvanlig svar")))
    error = path.final(key).error
    assert error
    assert error.status == 500
    assert "'16'" in error.text
    assert "Uvanlig svar" in error.text
    deliver(path, receipt(xml, mmel()))
    until(lambda: path.answers(key)[-1].status is Status.OK)


def test_doubled_receipts_answer_once(path: Path) -> None:
    key, case, xml = waiting_for_receipt(path)
    deliver(path, *[receipt(xml, mmel())] * 5, receipt(xml, mmel("08", "for sent")))
    path.final(key)
    query = "SELECT count(*) FROM receipts WHERE position(%s::bytea IN body) > 0"
    until(lambda: path.connection.execute(query, (f"<fagsystemId>{case}<".encode(),)).fetchone() == (6,))
    path.good_behind(DP, (b"x", None))
    assert [answer.status.value for answer in path.answers(key)] == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_a_message_behind_an_order_without_receipt_waits_and_others_do_not(path: Path) -> None:
    key, case, xml = waiting_for_receipt(path)
    later = f"{case}-later".encode()
    path.good_behind(DP, (later, text(dp(case, 700))))
    assert [answer.status.value for answer in path.answers(later)] == ["MOTTATT"]
    deliver(path, receipt(xml, mmel()))
    assert path.final(key).status is Status.OK
    assert path.final(later).status is Status.OK
    assert {amount for _, _, amount in path.days("DP", case)} == {700}


def test_dates_as_arrays_and_unknown_fields_are_read(path: Path) -> None:
    body = with_day(path.case(), dato=[2026, 6, 1], ukjent={"mer": [1, {"a": None}]})
    path.accepted(DP, {**body, "vedtakstidspunktet": [2026, 6, 30, 9, 15], "annet": "\u0000", "decided": DECIDED})
