"""Who asks how to connect to a server, while its owner is just writing that, is told all of it or nothing."""

from pathlib import Path
from threading import Thread

import pytest

from kvitt.kernel.postgres import ownership
from kvitt.kernel.postgres.ownership import Ownership, lock_file

CONNINFO = "host=/run/kvitt user=kvitt dbname=kvitt"


def test_what_is_read_while_it_is_written_is_whole_or_not_there(tmp_path: Path) -> None:
    owner = Ownership(tmp_path)
    owner.take()

    def announce() -> None:
        for _ in range(3000):
            owner.announce("")
            owner.announce(CONNINFO)

    writer = Thread(target=announce)
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(ownership._read(tmp_path)[1])
    assert seen <= {"", CONNINFO}
    assert ownership._read(tmp_path)[1] == CONNINFO
    owner.release()


@pytest.mark.parametrize("torn", ["", "12", "12\n", "12\n\nost=/run/kvitt\n", "12\nhost=/run/kv"])
def test_a_part_of_it_says_nothing(tmp_path: Path, torn: str) -> None:
    lock_file(tmp_path).write_text(torn)
    assert ownership._read(tmp_path)[1] == ""
