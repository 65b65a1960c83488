"""Ids show what they are: blanks around them, hidden characters and other forms of the same letters are no ids."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.kernel.identifiers import (
    Flaw,
    flaw_of,
    no_path_segment,
    wrong_id,
    wrong_text,
)

FLAWED = [
    ("", Flaw.EMPTY),
    (" ", Flaw.EMPTY),
    ("\u00a0\u2003", Flaw.EMPTY),
    (" a", Flaw.BLANK_AT_ENDS),
    ("a ", Flaw.BLANK_AT_ENDS),
    ("a\n", Flaw.BLANK_AT_ENDS),
    ("\u3000a", Flaw.BLANK_AT_ENDS),
    ("a\0b", Flaw.HIDDEN),
    ("a\tb", Flaw.HIDDEN),
    ("a\x1b[2Jb", Flaw.HIDDEN),
    ("a\x7f", Flaw.HIDDEN),
    ("a\x9bb", Flaw.HIDDEN),
    ("a\u200bb", Flaw.HIDDEN),
    ("\ufeffa", Flaw.HIDDEN),
    ("a\u202eb", Flaw.HIDDEN),
    ("a\u00adb", Flaw.HIDDEN),
    ("a\u2028b", Flaw.HIDDEN),
    ("a\ufe0fb", Flaw.HIDDEN),
    ("a\u3164b", Flaw.HIDDEN),
    ("a\u034fb", Flaw.HIDDEN),
    ("a\ud800b", Flaw.HALF),
    ("a\u030a", Flaw.NOT_NFC),
    ("\u212b", Flaw.NOT_NFC),
]
SOUND = ["a", "A B", "4NAAA1", "sak/1", "ÆØÅ-1", "Å", "案件", "a%2Fb", "€", "-", "𝄞"]


@pytest.mark.parametrize(("text", "flaw"), FLAWED, ids=[ascii(text) for text, _ in FLAWED])
def test_a_flaw_is_named(text: str, flaw: Flaw) -> None:
    assert flaw_of(text) is flaw
    assert wrong_id(text) == flaw.value


@pytest.mark.parametrize("text", SOUND)
def test_ids_of_any_script_are_ids(text: str) -> None:
    assert flaw_of(text) is None
    assert wrong_id(text, len(text)) is None


@given(st.text(max_size=8))
def test_what_passes_is_what_everybody_reads(text: str) -> None:
    """By another statement of the rule: nothing is trimmed, nothing changes form, and each character shows or is an inner blank."""
    if flaw_of(text) is None:
        assert text == text.strip() == unicodedata.normalize("NFC", text) != ""
        assert not {unicodedata.category(each) for each in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert text.encode().decode() == text


def test_an_id_has_as_many_characters_as_its_contract_has_room_for() -> None:
    assert wrong_id("x" * 58, 57) == wrong_id("", 57) == "must have 1 to 57 characters"
    assert wrong_id("x" * 57, 57) is None


@pytest.mark.parametrize(
    ("text", "sound"),
    [("", True), ("two\nlines\tand\r\nmore", True), ("", False), (" \n\u200b", False), ("a\x1b[2J", True), ("a\0", True), ("\ud800", True)],
)
def test_a_text_for_people_has_lines_and_no_other_controls(text: str, sound: bool) -> None:
    broken = wrong_text(text, 100, required=not sound)
    assert (broken is None) == (sound and not set(text) & set("\x1b\0\ud800"))


def test_a_text_is_no_longer_than_there_is_room_for() -> None:
    assert wrong_text("x" * 101, 100) == "must have at most 100 characters"


@pytest.mark.parametrize("text", [".", "..", "a/b", "/", "%2e%2e", "%2E", "a%2fb"])
def test_what_a_path_can_not_name_is_reported(text: str) -> None:
    assert no_path_segment(text) is not None


@pytest.mark.parametrize("text", ["a", "...", "a.b", "50%", "a%20b", "a?b#c;d"])
def test_what_a_path_can_name_is_no_fault(text: str) -> None:
    assert no_path_segment(text) is None
