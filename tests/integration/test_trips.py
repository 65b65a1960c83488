"""What the hub does with a message, a receipt, a payout and a hold stays near: few files, and few changes of room, on the way."""

from bench.trips import room_of, trips


def test_each_trip_is_counted_from_where_it_begins(database: str) -> None:
    found = {each.name: each for each in trips(database)}
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
