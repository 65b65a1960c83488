"""Who answers for an act: names and reasons that are none, and two names that are one person's."""

import pytest

from kvitt.errors import BadOperator, NeedsSecondPerson
from kvitt.kernel.operators import MAX_NAME, Operator, same_person

ONE_PERSON = {
    "the same": ("kari", "kari"),
    "other case": ("kari", "KARI"),
    "a blank at the end": ("kari", "kari "),
    "blanks between": ("Kari  Nordmann", "Kari\tNordmann"),
    "punctuation": ("Kari Nordmann", "kari.nordmann"),
    "a zero-width blank": ("kari", "ka\u200bri"),
    "a zero-width joiner": ("kari", "kari\u200d"),
    "a byte order mark": ("kari", "\ufeffkari"),
    "a direction mark": ("kari", "\u202ekari"),
    "a variation selector": ("kari", "kari\ufe0f"),
    "a Hangul filler": ("kari", "kari\u3164"),
    "a mark below": ("kari", "kari\u0323"),
    "full width": ("kari", "ｋａｒｉ"),
    "mathematical letters": ("kari", "𝐤𝐚𝐫𝐢"),
    "small capitals": ("kari", "ᴋᴀʀɪ"),
    "one Cyrillic letter": ("kari", "kаri"),
    "Cyrillic capitals": ("KAPI", "КАРІ"),
    "a Greek capital": ("HELGA", "ΗELGA"),
    "Cherokee": ("kari", "Ꮶari"),
    "a dotless i": ("kari", "karı"),
    "a small palochka": ("ola", "oӏa"),
    "a sigma that is a c": ("claus", "ϲlaus"),
    "a Hebrew letter": ("ola", "סla"),
    "an estimated sign": ("eli", "℮li"),
    "a digit for a letter": ("ola", "0la"),
    "a capital i for an l": ("OIa", "Ola"),
    "a one for an l": ("karl", "kar1"),
    "a bar for an l": ("karl", "kar|"),
    "rn for m": ("Emma", "Ernma"),
    "digits of another script": ("Z990001", "Z99000١"),
    "a stroke": ("Bjørn", "Bjorn"),
}
TWO_PEOPLE = [
    ("kari", "ola"),
    ("kari", "karl"),
    ("KARI", "OLA"),
    ("Z990001", "Z990002"),
    ("Arne", "Anne"),
    ("Иван", "Пётр"),
    ("Ελένη", "Νίκος"),
    ("李明", "王芳"),
    ("Kari Nordmann", "Kari Hansen"),
]


@pytest.mark.parametrize("names", ONE_PERSON.values(), ids=ONE_PERSON)
def test_a_name_that_can_be_taken_for_another_is_no_second_person(names: tuple[str, str]) -> None:
    for name, other in (names, names[::-1]):
        assert same_person(name, other)
        with pytest.raises(NeedsSecondPerson):
            Operator(name, "a test", other).need_second_person()


@pytest.mark.parametrize(("name", "other"), TWO_PEOPLE)
def test_different_names_are_two_people(name: str, other: str) -> None:
    Operator(name, "a test", other).need_second_person()


@pytest.mark.parametrize(
    "name",
    ["", " ", "\t\n", "k", "..", "\u200b\u200b\u200b", "\u3164\u3164", "\u0301\u0302", "k" * (MAX_NAME + 1), "ka\udcffri", "kari\ue000"],
)
def test_an_act_can_not_be_made_in_a_name_that_is_none(name: str) -> None:
    with pytest.raises(BadOperator) as by:
        Operator(name, "a test")
    with pytest.raises(BadOperator) as approved_by:
        Operator("kari", "a test", name)
    assert (by.value.field, approved_by.value.field) == ("by", "approved_by")


@pytest.mark.parametrize("reason", ["", "     ", "why", "-----", "\u200b" * 9, "a" + "\u200b" * 9, "\n\n\n\n\n\n", "x" * 1001])
def test_an_act_can_not_be_made_without_a_reason(reason: str) -> None:
    with pytest.raises(BadOperator) as refused:
        Operator("kari", reason)
    assert refused.value.field == "reason"


def test_what_was_given_is_stored_cleaned_and_otherwise_as_it_was_written() -> None:
    published = Operator(" Kari\u200b  Nordmann\n", "the bank\nhas\x1b paid", "O\u0308rjan")
    assert (published.name, published.reason, published.approved_by) == ("Kari Nordmann", "the bank has paid", "Örjan")
