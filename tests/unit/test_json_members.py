"""No member of a JSON object is there twice: found in any object at any depth, however it is written, and nowhere else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from bench.messages import dp, person_of
from hypothesis import given
from hypothesis import strategies as st

from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated

Pairs = tuple[tuple[str, Any], ...]
"""An object as it is written, so that a name may come twice; lists are lists."""

names = st.sampled_from(["a", "b", "ab", "amount", "stønad", ":", '":"', "a\\", "\n", "\ud800", "", "𝄞"]) | st.text(max_size=3)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([":", '":{', "\\", '"', "a"]) | st.text(max_size=4)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(names, inner), max_size=4).map(tuple),
    max_leaves=12,
)


def written(value: Any, text: Callable[[str], str], blank: Callable[[], str]) -> str:
    """The JSON of a document, with each text and each blank as they are drawn."""
    if isinstance(value, tuple):
        members = [f"{text(name)}{blank()}:{blank()}{written(inner, text, blank)}" for name, inner in value]
        return "{" + blank() + ",".join(members) + blank() + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(item, text, blank) for item in value) + "]"
    return text(value) if isinstance(value, str) else json.dumps(value)


def has_twice(value: Any) -> bool:
    """Whether some object of a document has a name twice, by the document itself."""
    if isinstance(value, tuple):
        return len({name for name, _ in value}) != len(value) or any(has_twice(inner) for _, inner in value)
    return isinstance(value, list) and any(map(has_twice, value))


def refused(body: bytes) -> bool:
    try:
        refuse_repeated(body)
    except Undecodable:
        return True
    return False


@given(documents, st.data())
def test_a_member_that_is_there_twice_is_found_and_nothing_else(document: Any, data: st.DataObject) -> None:
    def text(plain: str) -> str:
        escaped = data.draw(st.booleans())
        if not escaped and plain.isprintable() and not set(plain) & {'"', "\\"}:
            return f'"{plain}"'
        return '"' + "".join(f"\\u{unit:04x}" for unit in units(plain)) + '"' if escaped else json.dumps(plain)

    body = written(document, text, lambda: data.draw(st.sampled_from(["", " ", "\n\t"]))).encode()
    assert refused(body) == has_twice(document)


def units(text: str) -> list[int]:
    """The UTF-16 units of a text, lone surrogates as they are."""
    raw = text.encode("utf-16-be", "surrogatepass")
    return [raw[at] << 8 | raw[at + 1] for at in range(0, len(raw), 2)]


@given(st.integers(1, 3), st.data())
def test_any_member_of_a_message_written_once_more_is_found(periods: int, data: st.DataObject) -> None:
    message = dp("case-1", periods)
    assert not refused(message)
    person = f'"ident":"{person_of("case-1")}",'.encode()
    member = data.draw(st.sampled_from([b'"sats":1077,', b'"dato":"2005-01-03",', b'"sakId":"case-1",', person]))
    assert refused(message.replace(member, member * 2, 1))
    assert refused(message.replace(member, member.replace(b"a", b"\\u0061", 1) + member, 1))


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"amount":10000,"amount":250000}', "amount"),
        (b'{"a":1,"\\u0061":1}', "a"),
        (b'{"cash":{"amount":1,"currency":"RUB","amount":1}}', "cash.amount"),
        (b'[{"x":[0,{"y":[],"y":[1]}]}]', "[0].x[1].y"),
        (b'{"a":{"b":1,"b":1},"a":1}', "a.b"),
        (b'{"a":1e999,"a":2}', "a"),
        (b'{"a":' + b"9" * 5000 + b',"a":2}', "a"),
        (b'{"01020312345":1,"01020312345":2}', "?"),
        (b'{"a name that is none":1,"a name that is none":2}', "?"),
        (b'{"x":"' + b"a" * 2_000_000 + b'","y":1,"y":1}', "y"),
    ],
)
def test_the_member_is_named_by_its_path_and_a_value_in_its_place_is_not(body: bytes, path: str) -> None:
    with pytest.raises(Undecodable) as published:
        refuse_repeated(body)
    assert (published.value.field, published.value.rule) == (path, "is there more than once")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":{"a":{"a":1}}}',
        b'[{"a":1},{"a":1}]',
        b'{"a":"a","A":"a"}',
        b'{"a":1e999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\"a\\":1"}',
    ],
)
def test_names_of_different_objects_and_different_names_are_no_fault(body: bytes) -> None:
    assert not refused(body)


@pytest.mark.parametrize("body", [b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":{"b":' * 5000 + b"1" + b"}}" * 5000])
def test_what_is_nested_without_end_is_refused_and_does_no_harm(body: bytes) -> None:
    assert refused(body)
