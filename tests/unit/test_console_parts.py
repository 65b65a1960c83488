"""Parts of the console by themselves: what is printed, which states have a word, and what its files may not hold."""

import hashlib
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import kvitt.api.console
from kvitt.api.console import showing
from kvitt.api.console.exports import FORMS, CsvColumn, cell, decimal_of, written
from kvitt.api.console.keyset import listed, place_in, trail_in
from kvitt.api.console.login import own_path
from kvitt.api.console.pages import PAGES
from kvitt.api.console.rendering import plain, pretty, static_path, templates
from kvitt.api.console.sessions import csrf_of, new_id
from kvitt.api.console.words import STATES, Tone
from kvitt.api.people import masking
from kvitt.api.people.claims import Claims, ConsoleRole
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.states import OrderState
from kvitt.errors import BadRequest, NotAuthenticated
from kvitt.kernel.money import Kroner, Minor

CONSOLE = Path(kvitt.api.console.__file__).parent
TEMPLATES = sorted((CONSOLE / "pages/templates").glob("*.html"))
HTMX = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
"""SHA-256 of dist/htmx.min.js in the package htmx.org 4.0.1."""


def test_htmx_is_the_file_that_was_published_and_its_licence_is_beside_it() -> None:
    assert hashlib.sha256((CONSOLE / "static/htmx.min.js").read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (CONSOLE / "static/htmx.LICENSE").read_text("utf-8")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_a_template_has_nothing_that_browsers_are_forbidden_or_that_is_not_escaped(template: Path) -> None:
    text = template.read_text("utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|\bstyle=|<style|\bon[a-z]+=|hx-on|js:|<script(?! src=\"\{\{ static)", text)
    assert not re.search(r"https?:|//[a-z]", text)
    forms = re.findall(r"<form\b(.*?)</form>", text, re.DOTALL)
    assert len(forms) == text.count("<form")
    assert all('method="get"' in form or "hidden_fields()" in form or 'name="csrf"' in form for form in forms), (
        "whoever sends it proves the session"
    )
    assert 'name="csrf"' in macro_of("hidden_fields")


def shown_raw(content: bytes, **values: object) -> str:
    template = templates().from_string('{% import "macros.html" as m with context %}{{ m.raw("Body", content) }}')
    return template.render({"reveals": False, "persons": (), "content": content, **values})


def test_bytes_are_laid_out_and_stand_as_they_came_with_their_hash() -> None:
    body = b'{"a":1,"a":2}'
    shown = shown_raw(body)
    assert "{&#34;a&#34;:1,&#34;a&#34;:2}" in shown
    assert f"13 bytes, SHA-256 {hashlib.sha256(body).hexdigest()}" in shown
    for odd in (b"", b"\xff\xfe", b'{"a":', b"<a><b>", b"[" * 100_000, b"9" * 300_000, b'{"a": 1e999}'):
        assert "SHA-256" in shown_raw(odd)


def test_a_hash_by_which_a_person_could_be_guessed_is_shown_with_the_person_alone() -> None:
    body = b'{"person":"01020312345"}'
    assert hashlib.sha256(body).hexdigest() not in shown_raw(body)
    assert hashlib.sha256(body).hexdigest() in shown_raw(body, reveals=True)
    assert "1020312345" not in shown_raw(b'{"person":"\\u00301020312345"}')
    assert "1020312345" not in shown_raw(b"<person>&#48;1020312345</person>")
    assert hashlib.sha256(b"case K-777").hexdigest() not in shown_raw(b"case K-777", persons=["case K-777"])


def test_the_way_back_through_a_list_leads_over_the_pages_by_which_one_came() -> None:
    first = trail_in({})
    assert first.back is None
    second = trail_in(first.onward("7~a"))
    assert (second.here, second.back) == ("7~a", {})
    third = trail_in(second.onward("5~b"))
    assert third.back == {"after": "7~a", "trail": "-"}
    assert trail_in(third.back) == second
    assert trail_in({"after": "5~b"}).back is None, "the way here is not known"
    way = first
    for number in range(100):
        way = trail_in(way.onward(str(number)))
    assert len(way.places) == 20
    assert way.back
    assert way.back["after"] == "98"


def test_no_text_of_a_file_is_a_formula_and_no_number_has_an_apostrophe() -> None:
    row = {"text": "=1+1", "minus": -5, "amount": decimal_of(Minor(-248_050), "RUB"), "id": "01020312345", "said": 'a "b"; c,\n'}
    columns = [CsvColumn(name, lambda each, name=name: each[name], is_id=name == "id") for name in row]  # type: ignore[misc]
    for form, expected in (
        ("plain", '\'=1+1,-5,-2480.50,01020312345,"a ""b""; c,\n"\r\n'),
        ("excel", '\'=1+1;-5;-2480,50;01020312345;"a ""b""; c,\n"\r\n'),
    ):
        assert written([[cell(each.value(row), each, FORMS[form]) for each in columns]], FORMS[form]) == expected
    for formula in ("=", "+1", "-1", "@a", "\t=1"):
        assert cell(formula, CsvColumn("", str), FORMS["plain"]).startswith("'")
    assert cell("01020312345", CsvColumn("", str), FORMS["plain"]) == masking.MASK


def macro_of(name: str) -> str:
    found = re.search(
        rf"{{% macro {name}\(\) %}}(.*?){{% endmacro %}}", (CONSOLE / "pages/templates/macros.html").read_text("utf-8"), re.DOTALL
    )
    assert found
    return found[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.path} {page.posted}")
def test_a_page_has_its_template_and_its_key_alone(page: object) -> None:
    assert templates().get_template(page.template)  # type: ignore[attr-defined]
    keys = [each.key for each in PAGES if each.key]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("01020312345", masking.MASK),
        ('{"person":"01020312345"}', f'{{"person":"{masking.MASK}"}}'),
        ("<id>010203 12345</id>", f"<id>{masking.MASK}</id>"),
        ("order 0fe0ba24-3a83-52c0-941a-012345678901", "order 0fe0ba24-3a83-52c0-941a-012345678901"),
        ("120000000000", "120000000000"),
        ("K01020312345", "K01020312345"),
    ],
)
def test_what_looks_like_a_national_id_is_masked(text: str, shown: str) -> None:
    assert masking.masked(text) == shown


def test_a_known_person_is_masked_wherever_they_stand() -> None:
    assert masking.masked("K01020312345x", ["01020312345"]) == f"K{masking.MASK}x"


def test_a_template_prints_persons_only_where_the_page_reveals_them() -> None:
    template = templates().from_string("{{ a }} {{ b|plain }} {{ n }} {{ none }}")
    values = {"a": "<i>01020312345", "b": "01020312345", "n": 1020312345, "none": None}
    assert template.render(reveals=False, persons=(), **values) == f"&lt;i&gt;{masking.MASK} <bdi>01020312345</bdi> 1020312345 "
    assert "&lt;i&gt;01020312345" in template.render(reveals=True, persons=(), **values)
    assert masking.MASK in template.render(reveals="yes", persons=(), **values)


def test_amounts_and_moments_are_written_as_norwegians_do() -> None:
    gap = "\u00a0"
    assert str(showing.kroner(Kroner(-1234567))) == f'<data class="amount" value="-1234567">\u22121{gap}234{gap}567{gap}kr</data>'
    assert f">2{gap}480,05{gap}RUB<" in showing.minor(Minor(248005), "RUB")
    assert f">\u22120,05{gap}NOK<" in showing.minor(Minor(-5), "NOK")
    assert f">248{gap}JPY<" in showing.minor(Minor(248), "JPY")
    assert "minor units of XQX" in showing.minor(Minor(248), "XQX")
    assert ">01.07.2026 14:00:00<" in showing.moment(datetime(2026, 7, 1, 12, tzinfo=UTC))
    assert 'datetime="2026-12-01T13:00:00+01:00"' in showing.moment(datetime(2026, 12, 1, 12, tzinfo=UTC))
    assert ">02.03.2026<" in showing.day(date(2026, 3, 2))
    assert [showing.span(timedelta(seconds=each)) for each in (5, 61, 3660, 200_000)] == ["5 s", "1 min", "1 h 1 min", "2 days"]


def test_what_turns_the_direction_of_reading_is_seen() -> None:
    assert "\u202e" not in plain("abc\u202edef")
    assert showing.visible("a\x00b\n") == "a\ufffdb\n"


def test_bytes_are_shown_whatever_they_are() -> None:
    assert pretty(b'{"a":1}') == '{\n  "a": 1\n}'
    assert "<a>\n  <b/>\n</a>" in pretty(b"<a><b/></a>")
    assert pretty(b"<a><b></a>") == "<a><b></a>"
    assert pretty(b"\xff{") == "\\xff{"
    assert "&x;" in pretty(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>')
    assert len(pretty(b"x" * 1_000_000)) < 300_000
    assert (pretty(None), pretty(b"")) == ("", "")
    assert pretty(b"[" * 100_000).startswith("[[[")


def test_every_state_has_a_word_and_red_is_for_people() -> None:
    assert {each.value for each in OrderState} <= STATES["order"].keys()
    assert {each.value for each in ReceiptOutcome} <= STATES["receipt"].keys()
    shapes = {(state.tone, state.shape) for states in STATES.values() for state in states.values()}
    assert len(shapes) == len(Tone)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "",
        "/login/begin",
        "/a\r\nset-cookie: x",
        "/\u00e6",
        "javascript:alert(1)",
    ],
)
def test_a_login_leads_to_pages_of_our_own_alone(path: str) -> None:
    assert own_path(path) == "/"
    assert own_path("/orders?state=sent&after=1~2") == "/orders?state=sent&after=1~2"


def test_a_place_that_was_never_given_out_is_refused() -> None:
    order_id = UUID(int=7)
    page = listed([(3, order_id), (2, order_id)], lambda each: each, None, limit=1)
    assert (page.rows, page.is_first) == ([(3, order_id)], True)
    assert place_in(page.older, int, UUID) == (3, order_id)
    for wrong in ("", "3", "3~x", f"x~{order_id}", f"3~{order_id}~1"):
        with pytest.raises(BadRequest):
            place_in(wrong, int, UUID)


def test_forms_of_two_sessions_differ_and_do_not_show_the_id() -> None:
    one, other = new_id(), new_id()
    assert csrf_of(one) == csrf_of(one) != csrf_of(other)
    assert one not in csrf_of(one)


CLAIMS = Claims("oid", "name", "groups", {ConsoleRole.ACT: ["g-act"], ConsoleRole.LOOK: ["g-look"]})


def test_a_person_has_the_roles_of_their_groups_and_may_look_with_any() -> None:
    found = CLAIMS.person_of({"iss": "i", "oid": "o-1", "name": "Kari", "groups": ["g-act", "other"]})
    assert (found.person, found.name, found.roles) == ("o-1", "Kari", {ConsoleRole.ACT, ConsoleRole.LOOK})


@pytest.mark.parametrize(
    "claims",
    [
        {"oid": "o-1"},
        {"oid": "o-1", "groups": []},
        {"oid": "o-1", "groups": ["x"]},
        {"groups": ["g-act"]},
        {"oid": "", "groups": ["g-act"]},
        {"oid": "o-1", "groups": {"g-act": 1}},
    ],
)
def test_who_is_nobody_or_has_no_role_is_not_let_in(claims: dict[str, object]) -> None:
    with pytest.raises(NotAuthenticated):
        CLAIMS.person_of({"iss": "i", **claims})


def test_another_content_has_another_address() -> None:
    assert re.fullmatch(r"/static/console\.css\?v=[0-9a-f]{12}", static_path("console.css"))
