"""What `kvitt run` plays where nobody chooses is all that the work needs; workers share roles so that none is left out or stands idle."""

from collections import Counter
from pathlib import Path

import pytest

from kvitt.app import roles as roles_module
from kvitt.app.ports import PORTS
from kvitt.app.process import USUAL
from kvitt.app.roles import LISTENERS, ROLES, loops_of, processors, spread, workers_of
from kvitt.settings import Settings
from support.rail_kits import ToyKit

ALONE = {"relay", "sender", "simulator", "reconciler", "scheduler", "emulator"}


def test_the_usual_roles_are_all_but_those_that_answer_calls_and_those_that_have_to_be_wanted() -> None:
    assert {*USUAL.split(",")} == {*ROLES} - {*LISTENERS} - {"rapid", "emulator", "console"}


@pytest.mark.parametrize("workers", range(1, 7))
@pytest.mark.parametrize("roles", [tuple(ROLES), tuple(USUAL.split(",")), ("payouts", "relay"), ("intake",), ("relay",), LISTENERS])
def test_every_role_is_played_and_what_has_one_owner_by_one_worker(roles: tuple[str, ...], workers: int) -> None:
    played = spread(roles, workers)
    assert 1 <= len(played) <= workers
    assert all(played)
    counts = Counter(role for each in played for role in each)
    assert set(counts) == set(roles)
    assert all(counts[role] == 1 for role in ALONE & set(roles))
    assert all(counts[role] == len(played) for role in LISTENERS if role in roles)


def test_each_rail_that_cancels_has_a_loop_for_that_where_orders_leave() -> None:
    assert loops_of(("sender", "relay"), PORTS.rails) == ["sender", "relay"]
    assert loops_of(("sender",), ToyKit.rails()) == ["sender", "sender toy", "canceller toy"]


def test_the_emulator_is_where_the_simulator_is_that_asks_it() -> None:
    for workers in range(1, 7):
        assert all(("emulator" in each) == ("simulator" in each) for each in spread(tuple(ROLES), workers))


@pytest.mark.parametrize(
    ("available", "roles", "workers"),
    [
        (1, tuple(ROLES), 1),
        (2, tuple(ROLES), 2),
        (64, tuple(ROLES), 4),
        (64, ("relay",), 1),
        (64, ("sender", "relay", "scheduler"), 1),
        (64, ("payouts",), 4),
        (3, ("intake",), 3),
    ],
)
def test_by_themselves_there_are_as_many_workers_as_have_something_to_do(
    monkeypatch: pytest.MonkeyPatch, available: int, roles: tuple[str, ...], workers: int
) -> None:
    monkeypatch.setattr(roles_module, "processors", lambda: available)
    assert workers_of(Settings(), roles) == workers
    assert workers_of(Settings(workers=7), roles) == 7


@pytest.mark.parametrize(("quota", "found"), [("max 100000", None), ("50000 100000", 1), ("150000 100000", 2), ("9900000 100000", None)])
def test_a_container_has_the_processors_of_its_quota(tmp_path: Path, quota: str, found: int | None) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    allowed = processors(tmp_path / "none")
    assert processors(tmp_path / "cpu.max") == min(allowed, found or allowed)
