"""What others wrote can not move the cursor, hide, or turn round what stands beside it; amounts are shown in the currency's unit."""

import msgspec
import pytest

from kvitt.cli.text import in_units, shown, shown_bytes, shown_json, shown_lines


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Ærlig, ø og å – 漢字 👍", "Ærlig, ø og å – 漢字 👍"),
        ("\x1b[2J\x1b]0;mine\x07", "\\x1b[2J\\x1b]0;mine\\x07"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("\x9b31m \x7f \x00", "\\x9b31m \\x7f \\x00"),
        ("pay \u202e001\u202c", "pay \\u202e001\\u202c"),
        ("\u2066\u2069\u200f\u061c", "\\u2066\\u2069\\u200f\\u061c"),
        ("ka\u200bri\ufeff\u00ad", "ka\\u200bri\\ufeff\\xad"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_a_terminal_obeys_or_an_eye_does_not_see_is_an_escape(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_a_body_keeps_its_lines_and_nothing_else() -> None:
    assert shown_lines(b"<a>\r\n\t\x1b[31m\xff</a>") == "<a>\n    \\x1b[31m\\xff</a>"
    assert (shown_bytes(None), shown_bytes(b"k\xc3\xa5\x00")) == ("-", "kå\\x00")


def test_json_means_the_same_and_moves_nothing() -> None:
    value = {"a": "\x7f\x9b31m \u202e å \U000e0041 \u2028", "b": "\x1b[2J"}
    published = shown_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    assert msgspec.json.decode(published) == value
    assert not set("\x7f\x9b\x1b\u202e\u2028\U000e0041") & set(published)
    assert "å" in published


@pytest.mark.parametrize(
    ("amount", "currency", "published"),
    [
        (248000, "RUB", "2,480.00"),
        (-5, "NOK", "-0.05"),
        (0, "EUR", "0.00"),
        (248000, "JPY", "248,000"),
        (1234567, "BHD", "1,234.567"),
        (-12345, "CLF", "-1.2345"),
        (2**63 - 1, "USD", "92,233,720,368,547,758.07"),
        (248000, "XTS", "248,000 minor"),
        (248000, "r", "248,000 minor"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: int, currency: str, published: str) -> None:
    assert in_units(amount, currency) == published
