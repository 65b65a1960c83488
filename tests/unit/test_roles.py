"""What `kvitt run` plays where nobody chooses is all that the work needs."""

from kvitt.app.hub import LISTENERS, ROLES
from kvitt.app.process import USUAL


def test_the_usual_roles_are_all_but_those_that_answer_calls_and_those_that_have_to_be_wanted() -> None:
    assert {*USUAL.split(",")} == {*ROLES} - {*LISTENERS} - {"rapid", "emulator"}
