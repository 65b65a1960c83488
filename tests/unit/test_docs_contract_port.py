"""The example in the documentation of the port is the toy contract that passes the suite, to the letter."""

import re
from pathlib import Path

from kvitt.disbursement import events
from kvitt.disbursement.contract import Contract

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contract-port.md").read_text("utf-8")


def test_the_smallest_contract_of_the_documentation_is_the_one_that_is_tried() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    source = (ROOT / "tests" / "support" / "toy_contract.py").read_text("utf-8")
    assert source.partition('"""\n\n')[2] == code, "nothing of it is left out, what it imports neither"


def test_every_attribute_is_reported() -> None:
    attributes = {name for name in Contract.__annotations__ if not name.startswith("_")}
    assert attributes - set(re.findall(r"`(\w+)", PAGE)) <= SELDOM


SELDOM = frozenset({"lists_on", "copies_on", "forwards", "answers_invalid"})
"""What those contracts alone set whose senders have topics for it, or lines of their own; the port says what they are."""


def test_every_event_and_every_question_is_reported() -> None:
    published = set(re.findall(r"`(\w+)", PAGE))
    assert {kind.__name__ for kind in events.Event.__args__} <= published
    asked = {name for name, value in vars(Contract).items() if callable(value) and not name.startswith("_")}
    assert asked - published <= {"failure_in", "same_answer", "replays_on"}, "these have an answer that is seldom another"
