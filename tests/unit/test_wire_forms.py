"""Every form of input message is read as its contract shows it, and everything else is refused by path and rule."""
# ruff: noqa: E501 - the contract's examples and the table of refusals read best one to a line

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.helved.messages import (
    AapEntry,
    AapMessage,
    DpDay,
    DpKind,
    DpMessage,
    HistoriskMessage,
    MessageHeader,
    Span,
    TpEntry,
    TpMessage,
    TsMessage,
    TsPayment,
    ValpMessage,
)
from kvitt.contracts.helved.read import decode
from kvitt.disbursement.values import HoldBack, RateType, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_reading import MAX_BYTES
from support.tried import tried

DP = """{"sakId":"AZ111","behandlingId":"AZ222","ident":"01020312345","vedtakstidspunktet":"2025-07-04T09:15:30.305852",
 "utbetalinger":[{"meldeperiode":"132460001","dato":"2025-06-02","sats":1077,"utbetaltBeløp":553,"utbetalingstype":"Dagpenger"}]}"""
AAP = """{"sakId":"4NAAA1","behandlingId":"4NBBB1","ident":"01020312345","vedtakstidspunktet":"2025-07-04T09:15:30","saksbehandler":"Z900001","beslutter":"Z900002",
 "utbetalinger":[{"id":"0d0d0d0d-1111-4222-8333-444444444444","fom":"2025-06-02","tom":"2025-06-13","sats":1077,"utbetaltBeløp":553}],
 "avvent":{"fom":"2025-06-02","tom":"2025-06-13","overføres":"2025-08-11","årsak":"AVVENT_REFUSJONSKRAV","feilregistrering":false}}"""
TS = """{"sakId":"300000123","behandlingId":"2071","personident":"01020312345","vedtakstidspunkt":"2025-07-04T09:15:30","periodetype":"EN_GANG",
 "utbetalinger":[{"id":"11111111-2222-4333-8444-555555555555","stønad":"TILSYN_BARN_AAP","perioder":[{"fom":"2025-06-02","tom":"2025-06-02","beløp":800}],"brukFagområdeTillst":false},
                 {"id":"66666666-7777-4888-8999-000000000000","stønad":"TILSYN_BARN_AAP","perioder":[]}]}"""
TP = """{"sakId":"202506021001","behandlingId":"01JXYZ","personident":"01020312345","vedtakstidspunkt":"2025-07-04T09:15:30",
 "perioder":[{"meldeperiode":"2025-06-02/2025-06-15","fom":"2025-06-02","tom":"2025-06-13","betalendeEnhet":"0220","barnetillegg":false,"beløp":285,"stønad":"ARBEIDSTRENING"},
             {"meldeperiode":"2025-06-02/2025-06-15","fom":"2025-06-02","tom":"2025-06-13","betalendeEnhet":"0220","barnetillegg":true,"beløp":53,"stønad":"ARBEIDSTRENING"}]}"""
HISTORISK = """{"id":"11111111-2222-4333-8444-555555555555","sakId":"H100","behandlingId":"H100-1","personident":"01020312345","stønad":"ORTOSE","vedtakstidspunkt":"2025-07-04T09:15:30","periodetype":"EN_GANG",
 "perioder":[{"fom":"2025-06-02","tom":"2025-06-02","beløp":1500}]}"""
VALP = """{"id":"11111111-2222-4333-8444-555555555555","sakId":"V100","behandlingId":"V100-1","personIdent":"01020312345","periode":{"fom":"2025-08-01","tom":"2025-12-20"},"belop":12500,
 "tilskuddstype":"SKOLEPENGER","tiltakskode":"HOYERE_UTDANNING","saksbehandler":"V100200","beslutter":"V100300","besluttetTidspunkt":"2025-07-04T07:15:30Z","kostnadssted":"0315"}"""

TEXTS = {
    Scheme.DAGPENGER: DP,
    Scheme.AAP: AAP,
    Scheme.TILLEGGSSTONADER: TS,
    Scheme.TILTAKSPENGER: TP,
    Scheme.HISTORISK: HISTORISK,
    Scheme.VALP: VALP,
}
JUNE_2, JUNE_13 = date(2025, 6, 2), date(2025, 6, 13)
ONES = UUID("11111111-2222-4333-8444-555555555555")
EXPECTED = {
    Scheme.DAGPENGER: DpMessage(
        MessageHeader("AZ111", "AZ222", "01020312345", "2025-07-04T09:15:30.305852", False, None, None),
        (DpDay("132460001", JUNE_2, 1077, 553, DpKind.DAGPENGER),),
    ),
    Scheme.AAP: AapMessage(
        MessageHeader("4NAAA1", "4NBBB1", "01020312345", "2025-07-04T09:15:30", False, "Z900001", "Z900002"),
        (AapEntry(UUID("0d0d0d0d-1111-4222-8333-444444444444"), JUNE_2, JUNE_13, 1077, 553),),
        HoldBack(JUNE_2, JUNE_13, date(2025, 8, 11), "AVVENT_REFUSJONSKRAV", False),
    ),
    Scheme.TILLEGGSSTONADER: TsMessage(
        MessageHeader("300000123", "2071", "01020312345", "2025-07-04T09:15:30", False, None, None),
        RateType.ONE_OFF,
        (
            TsPayment(ONES, "TILSYN_BARN_AAP", (Span(JUNE_2, JUNE_2, 800),), False),
            TsPayment(UUID("66666666-7777-4888-8999-000000000000"), "TILSYN_BARN_AAP", (), False),
        ),
    ),
    Scheme.TILTAKSPENGER: TpMessage(
        MessageHeader("202506021001", "01JXYZ", "01020312345", "2025-07-04T09:15:30", False, None, None),
        (
            TpEntry("2025-06-02/2025-06-15", JUNE_2, JUNE_13, 285, "0220", False, "ARBEIDSTRENING"),
            TpEntry("2025-06-02/2025-06-15", JUNE_2, JUNE_13, 53, "0220", True, "ARBEIDSTRENING"),
        ),
    ),
    Scheme.HISTORISK: HistoriskMessage(
        MessageHeader("H100", "H100-1", "01020312345", "2025-07-04T09:15:30", False, None, None),
        ONES,
        "ORTOSE",
        RateType.ONE_OFF,
        (Span(JUNE_2, JUNE_2, 1500),),
    ),
    Scheme.VALP: ValpMessage(
        MessageHeader("V100", "V100-1", "01020312345", "2025-07-04T09:15:30", False, "V100200", "V100300"),
        ONES,
        "HOYERE_UTDANNING_SKOLEPENGER",
        Span(date(2025, 8, 1), date(2025, 12, 20), 12500, "0315"),
    ),
}

Change = Callable[[dict], None]


def changed(scheme: Scheme, change: Change) -> bytes:
    document = json.loads(TEXTS[scheme])
    change(document)
    return json.dumps(document, ensure_ascii=False).encode()


def refusal(scheme: Scheme, body: bytes) -> Undecodable:
    with pytest.raises(Undecodable) as raised:
        decode(scheme, body)
    return raised.value


@pytest.mark.parametrize("scheme", TEXTS)
def test_the_contracts_example_is_read(scheme: Scheme) -> None:
    assert decode(scheme, TEXTS[scheme].encode()) == EXPECTED[scheme]


@pytest.mark.parametrize("scheme", TEXTS)
def test_unknown_fields_are_ignored_and_escapes_mean_the_same(scheme: Scheme) -> None:
    document = json.loads(TEXTS[scheme]) | {"nytt": {"x": [1, {"y": None}]}, "dryrun": False}
    assert decode(scheme, json.dumps(document).encode()) == EXPECTED[scheme]


@pytest.mark.parametrize(
    ("scheme", "change"),
    [
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(dato=[2025, 6, 2])),
        (Scheme.DAGPENGER, lambda m: m.update(vedtakstidspunktet=[2025, 7, 4, 9, 15, 30, 305852000])),
        (Scheme.DAGPENGER, lambda m: m.update(vedtakstidspunktet="2025-07-04T09:15:30.305852Z")),
        (Scheme.AAP, lambda m: m["avvent"].update(fom=[2025, 6, 2], overføres=[2025, 8, 11])),
        (Scheme.AAP, lambda m: m.update(vedtakstidspunktet=[2025, 7, 4, 9, 15, 30])),
        (Scheme.AAP, lambda m: m["utbetalinger"][0].update(id="0D0D0D0D-1111-4222-8333-444444444444")),
        (Scheme.TILLEGGSSTONADER, lambda m: m["utbetalinger"][1].pop("brukFagområdeTillst", None)),
        (Scheme.TILTAKSPENGER, lambda m: m["perioder"][0].pop("barnetillegg")),
        (Scheme.VALP, lambda m: m["periode"].update(fom=[2025, 8, 1], tom=[2025, 12, 20])),
    ],
)
def test_other_spellings_of_the_same_message_are_read_alike(scheme: Scheme, change: Change) -> None:
    assert decode(scheme, changed(scheme, change)) == EXPECTED[scheme]


@pytest.mark.parametrize(
    ("scheme", "change", "field", "rule"),
    [
        (Scheme.DAGPENGER, lambda m: m.pop("sakId"), "sakId", "is missing"),
        (Scheme.DAGPENGER, lambda m: m.update(sakId=None), "sakId", "must be str, not null"),
        (Scheme.DAGPENGER, lambda m: m.update(sakId=17), "sakId", "must be str, not int"),
        (Scheme.DAGPENGER, lambda m: m.update(dryrun=None), "dryrun", "must be bool, not null"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].pop("sats"), "utbetalinger[0].sats", "is missing"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(sats=-1), "utbetalinger[0].sats", "must be whole kroner from 0 to 4294967295"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(sats=2**32), "utbetalinger[0].sats", "must be whole kroner from 0 to 4294967295"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(sats=1.5), "utbetalinger[0].sats", "must be int, not float"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(sats="1077"), "utbetalinger[0].sats", "must be int, not str"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(dato="2.6.2025"), "utbetalinger[0].dato", "must be a date, yyyy-MM-dd"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(dato=[2025, 2, 30]), "utbetalinger[0].dato", "must be date, not array"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(utbetalingstype="dagpenger"), "utbetalinger[0].utbetalingstype", "is not a known word"),
        (Scheme.DAGPENGER, lambda m: m.update(vedtakstidspunktet="i går"), "vedtakstidspunktet", "is not a date-time of the contract's form"),
        (Scheme.DAGPENGER, lambda m: m.update(vedtakstidspunktet=[2025]), "vedtakstidspunktet", "must be str, not array"),
        (Scheme.DAGPENGER, lambda m: m.update(behandlingId="a\x00b"), "behandlingId", "holds a character that XML can not carry"),
        (Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(meldeperiode="\uffff"), "utbetalinger[0].meldeperiode", "holds a character that XML can not carry"),
        (Scheme.AAP, lambda m: m["utbetalinger"][0].update(id="12345678901"), "utbetalinger[0].id", "must be a UUID"),
        (Scheme.AAP, lambda m: m["avvent"].update(årsak="AVAV"), "avvent.årsak", "is not a known word"),
        (Scheme.TILLEGGSSTONADER, lambda m: m.update(periodetype="UKE"), "periodetype", "is not a known word"),
        (Scheme.TILLEGGSSTONADER, lambda m: m["utbetalinger"][1].update(stønad="ORTOSE"), "utbetalinger[1].stønad", "is not in the scheme's catalogue"),
        (Scheme.TILTAKSPENGER, lambda m: m["perioder"][1].update(stønad="DAGPENGER"), "perioder[1].stønad", "is not in the scheme's catalogue"),
        (Scheme.TILTAKSPENGER, lambda m: m["perioder"][0].update(stønad="ARBEIDSTRENING_BARN"), "perioder[0].stønad", "names a twin, which `barnetillegg` chooses"),
        (Scheme.HISTORISK, lambda m: m.update(stønad="ortose"), "stønad", "is not in the scheme's catalogue"),
        (Scheme.VALP, lambda m: m.update(tilskuddstype="X"), "tiltakskode", "is not in the scheme's catalogue"),
        (Scheme.VALP, lambda m: m.pop("saksbehandler"), "saksbehandler", "is missing"),
        (Scheme.VALP, lambda m: m.update(besluttetTidspunkt="2025-07-04T07:15:30"), "besluttetTidspunkt", "is not a date-time of the contract's form"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_named_by_path_and_rule(scheme: Scheme, change: Change, field: str, rule: str) -> None:
    refused = refusal(scheme, changed(scheme, change))
    assert (refused.field, refused.rule) == (field, rule)


def test_an_enum_word_that_imitates_the_decoders_own_text_is_not_shown() -> None:
    body = changed(Scheme.DAGPENGER, lambda m: m["utbetalinger"][0].update(utbetalingstype="01020312345' - at `$.ident`"))
    assert str(refusal(Scheme.DAGPENGER, body)) == "utbetalinger[0].utbetalingstype is not a known word"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "is not JSON"),
        (b"null", "must be object, not null"),
        (b"[]", "must be object, not array"),
        (b"{", "is not JSON"),
        (DP.encode() + b"x", "is not JSON"),
        (b"\xef\xbb\xbf" + DP.encode(), "is not JSON"),
        (DP.encode()[:-1] + b',"x":NaN}', "is not JSON"),
        (DP.encode()[:-1] + b',"x":"\xff"}', "is not UTF-8"),
        (DP.encode()[:-1] + b',"x":"\\ud800"}', "is not JSON"),
        (DP.replace("AZ111", "\\udfff").encode(), "is not JSON"),
        (DP.encode("utf-16"), "is not UTF-8"),
        (b" " * (MAX_BYTES + 1), f"is larger than {MAX_BYTES} bytes"),
        (b"[" * 10_000_000, "must be object, not array"),
        (b'{"x":' + b"[" * 10_000_000, "is nested deeper than 64"),
        (b'{"x":' + b'{"a":' * 1_000_000, "is nested deeper than 64"),
        (DP.encode()[:-1] + b',"x":' + b"[" * 64 + b"]" * 64 + b"}", "is nested deeper than 64"),
        (DP.encode()[:-1] + b',"x":' + b'["]",' * 100 + b"0" + b',"["]' * 100 + b"}", "is nested deeper than 64"),
        (DP.encode()[:-1] + b',"x":' + b'["\\"]\\"",' * 100 + b"0" + b',"\\"[\\""]' * 100 + b"}", "is nested deeper than 64"),
    ],
    ids=range(18),
)
def test_what_is_no_message_at_all_is_refused(body: bytes, rule: str) -> None:
    refused = refusal(Scheme.DAGPENGER, body)
    assert (refused.field, refused.rule) == ("", rule)


@pytest.mark.parametrize("inside", [b"[" * 63 + b"]" * 63, b"[" + b'"[[[","\\"{{",' * 100 + b"0]", b"[" + b'"[[[",' * 100 + b"0]"])
def test_depth_within_the_limit_and_brackets_in_texts_are_no_fault(inside: bytes) -> None:
    assert decode(Scheme.DAGPENGER, DP.encode()[:-1] + b',"x":' + inside + b"}") == EXPECTED[Scheme.DAGPENGER]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["2025-06-02", [2025, 6, 2]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@tried(200)
@given(st.sampled_from(sorted(TEXTS)), st.data())
def test_any_value_in_any_place_is_read_or_refused_but_never_crashes(scheme: Scheme, data: st.DataObject) -> None:
    document = json.loads(TEXTS[scheme])
    target = data.draw(st.sampled_from([document, *(value[0] for value in document.values() if isinstance(value, list))]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(json_values)
    with suppress(Undecodable):
        decode(scheme, json.dumps(document).encode())


@tried(200)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_read_or_refused_but_never_crash(junk: bytes, at: int) -> None:
    body = DP.encode()
    for damaged in (junk, body[:at] + junk + body[at:]):
        with suppress(Undecodable):
            decode(Scheme.DAGPENGER, damaged)
