"""Whatever comes in is answered or kept with the reason, and what comes behind it is served (helved §3.2, §3.8; design §12)."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.values import Scheme
from kvitt.formats import topics
from support.hub_messages import DECIDED, FORTNIGHT, PLAIN, Json, aap, dp, historisk, payment_uid, text, tp, ts, ts_payment, valp
from support.whole_way import Way, whole_way

DP, AAP, TS, TP, HIST, VALP = (
    Scheme.DAGPENGER,
    Scheme.AAP,
    Scheme.TILLEGGSSTONADER,
    Scheme.TILTAKSPENGER,
    Scheme.HISTORISK,
    Scheme.VALP,
)


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    with whole_way() as made:
        yield made


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
def test_what_can_not_be_read_is_refused_by_the_contracts_words_and_kept(way: Way, scheme: Scheme, body: Json | bytes) -> None:
    value = body if isinstance(body, bytes) else text(body)
    error = way.refused(scheme, value).error
    assert error
    wanted = f"DeserialiseringFeiletException: Feil ved deserialisering av melding fra {helved_topics.primary_input(scheme)}"
    assert (error.status, error.text, error.system) == (400, wanted, "HELVED")
    assert way.dead(value)


def test_the_sender_of_an_internal_topic_hears_the_name_it_knows(way: Way) -> None:
    key = b"internal"
    way.hub.put(helved_topics.INTERNAL_INPUTS[DP], key, b"{")
    error = way.final(key).error
    assert error
    assert error.text.endswith("fra teamdagpenger.utbetaling.v1")


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
def test_nothing_about_an_unknown_case_is_fine(way: Way, scheme: Scheme, dry_run: bool) -> None:
    key = str(uuid4()).encode()
    way.good_behind(scheme, (key, text({**EMPTY[scheme](way.case()), "dryrun": dry_run})))
    assert way.answers(key) == [Answer(Status.OK, None, None, dry_run)]
    published = way.connection.execute(
        "SELECT count(*) FROM log_records WHERE topic = %s AND key = %s", (helved_topics.DRY_RUNS[scheme], key)
    ).fetchone()
    assert published == (int(dry_run),)


@pytest.mark.parametrize("scheme", [DP, AAP])
def test_only_zero_amounts_about_an_unknown_case_are_fine(way: Way, scheme: Scheme) -> None:
    key = str(uuid4()).encode()
    way.good_behind(scheme, (key, text(PLAIN[scheme](way.case(), 0))))
    assert way.answers(key) == [Answer(Status.OK)]


@pytest.mark.parametrize("scheme", [DP, AAP, TP, HIST, VALP])
def test_nothing_about_a_known_case_or_payment_ceases_it_and_again_is_no_difference(way: Way, scheme: Scheme) -> None:
    case = way.case()
    way.accepted(scheme, PLAIN[scheme](case))
    assert way.days(AREA[scheme], case)
    way.accepted(scheme, EMPTY[scheme](case))
    assert way.days(AREA[scheme], case) == []
    way.accepted(scheme, EMPTY[scheme](case))
    assert way.orders(case) == 2


def test_nothing_about_a_known_case_that_names_its_payments_changes_nothing(way: Way) -> None:
    case = way.case()
    way.accepted(TS, ts(case))
    before = way.days("TILLSTPB", case)
    way.accepted(TS, EMPTY[TS](case))
    assert way.days("TILLSTPB", case) == before


@pytest.mark.parametrize("scheme", [DP, AAP, TP, HIST, VALP])
def test_a_dry_run_of_nothing_about_a_known_case_simulates_the_cessation(way: Way, scheme: Scheme) -> None:
    case, key = way.case(), str(uuid4()).encode()
    way.accepted(scheme, PLAIN[scheme](case))
    way.good_behind(scheme, (key, text({**EMPTY[scheme](case), "dryrun": True})))
    query = """SELECT q.question FROM simulation_questions AS q JOIN simulation_requests AS r USING (request_no)
               JOIN messages AS m USING (message_no) WHERE m.key = %s"""
    ((request,),) = way.connection.execute(query, (key,)).fetchall()
    assert isinstance(request, bytes)
    assert b"OPPH" in request
    assert way.days(AREA[scheme], case)


def test_a_record_that_can_not_be_answered_is_kept_with_the_reason(way: Way) -> None:
    body = text(dp(way.case()))
    way.good_behind(DP, (None, body))
    assert way.dead(body) == "the record has no key, so its sender can not be answered"


@pytest.mark.parametrize("key", [b"\xff\xfe", b"a\0b", b"\xed\xa0\x80"])
def test_a_key_that_is_no_text_is_kept_with_the_reason(way: Way, key: bytes) -> None:
    body = text(dp(way.case()))
    way.good_behind(DP, (key, body))
    assert way.dead(body) == "the key is not UTF-8 text, so its sender can not be answered"


def test_an_empty_key_is_no_key(way: Way) -> None:
    body = text(dp(way.case()))
    way.good_behind(DP, (b"", body))
    assert way.dead(body) == "the record has no key, so its sender can not be answered"


@pytest.mark.parametrize("key", [b"gone", None, b"\xff"])
def test_a_tombstone_is_passed_by(way: Way, key: bytes | None) -> None:
    before = way.connection.execute("SELECT count(*) FROM dead_letters").fetchone()
    way.good_behind(DP, (key, None))
    assert way.connection.execute("SELECT count(*) FROM dead_letters").fetchone() == before


@pytest.mark.parametrize("key", ["æøå 😀", " ", "k" * 1_000_000, '{"not": "text"}', "a\tb\r\nc", "%s'; --"])
def test_any_text_is_a_key(way: Way, key: str) -> None:
    way.send(DP, (key.encode(), text(dp(way.case()))))
    assert way.final(key.encode()).status is Status.OK


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"x",
        b"{}",
        b"null",
        b"[1]",
        b'[["a"]]',
        b'[["a", 1]]',
        b'[["a", "b", "c"]]',
        b"\xff\x00",
        b'[["a", "\\ud800"]]',
        b"[" * 100_000,
    ],
)
def test_headers_that_are_none_harm_nobody(way: Way, headers: bytes) -> None:
    key = str(uuid4()).encode()
    way.send(DP, (key, text(dp(way.case()))), headers=headers)
    assert way.final(key).status is Status.OK


def test_headers_of_the_sender_are_carried_to_the_answer(way: Way) -> None:
    key = str(uuid4()).encode()
    headers = topics.encode_headers([("trace", "1"), ("trace", "2"), ("fagsystem", "ANNET"), ("\0", "\0")])
    way.send(DP, (key, text(dp(way.case()))), headers=headers)
    way.final(key)
    query = "SELECT headers FROM log_records WHERE topic = %s AND key = %s"
    for (carried,) in way.connection.execute(query, (helved_topics.STATUSES, key)):
        assert isinstance(carried, bytes)
        pairs = topics.decode_headers(carried)
        assert dict(pairs)["trace"] == "2"
        assert dict(pairs)["fagsystem"] == "DAGPENGER"


def test_dates_as_arrays_and_unknown_fields_are_read(way: Way) -> None:
    body = with_day(way.case(), dato=[2026, 6, 1], ukjent={"mer": [1, {"a": None}]})
    way.accepted(DP, {**body, "vedtakstidspunktet": [2026, 6, 30, 9, 15], "annet": "\u0000", "decided": DECIDED})
