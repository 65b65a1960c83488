"""What the hub does with a message, a receipt, a payout and a hold stays near: few files, and few changes of room, on the way."""

import pytest
from bench.trips import Trip, room_of, trips

MOST_CHANGES = {"submit": 28, "settle": 26, "payout": 33, "hold": 16}
"""Half of what they were in a house that was ordered by technique."""
MOST_FILES = {"submit": 13, "settle": 9, "payout": 9, "hold": 2}
"""Half of what they were there: 26 for a message, 19 for a receipt, 19 for a payout, 4 for a hold, by whoever counts fewest."""


@pytest.fixture(scope="module")
def found(ledger_database: str) -> dict[str, Trip]:
    return {each.name: each for each in trips(ledger_database)}


@pytest.mark.parametrize("name", MOST_CHANGES)
def test_what_the_hub_does_stays_near(found: dict[str, Trip], name: str) -> None:
    walked = found[name]
    assert walked.changes <= MOST_CHANGES[name], f"make trips: {sorted(walked.files)}"
    assert len(walked.files) <= MOST_FILES[name], f"make trips: {sorted(walked.files)}"


def test_each_trip_is_counted_from_where_it_begins(found: dict[str, Trip]) -> None:
    assert list(found) == ["submit", "settle", "payout", "hold"]
    for each in found.values():
        assert each.files <= each.all_files
        assert each.changes <= each.all_changes
    assert any(file.endswith("/submit.py") for file in found["submit"].files)
    assert any(file.endswith("/settle.py") for file in found["settle"].files)
    assert found["hold"].files < found["payout"].files, "a payout is held with the ledger's own code"


def test_a_room_is_a_folder_and_a_plug_in_is_one_of_its_own() -> None:
    assert room_of("disbursement/check/replay.py") == room_of("disbursement/submit.py") == "disbursement"
    assert room_of("contracts/helved/read.py") != room_of("contracts/rapid/read.py")
    assert room_of("errors.py") == "", "a module beside the folders is no room"
