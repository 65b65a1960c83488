"""Changes of states are logged once, what lasts now and then with a count, and what goes to and fro does not fill the log."""

from typing import Any

from kvitt.kernel.state_log import MOST_LINES, StateLog

REMIND = 600.0


class Lines:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.published.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.published.append(("warning", event, fields))


class Hand:
    """A clock that stands where it is put."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def staged() -> tuple[Lines, Hand, StateLog]:
    lines, clock = Lines(), Hand()
    return lines, clock, StateLog(lines, remind_seconds=REMIND, clock=clock)


def test_a_state_that_lasts_is_one_line_and_its_end_another() -> None:
    lines, clock, log = staged()
    for _ in range(500):
        log.enters("broker", "down", "warning", "no broker", error="Refused")
        clock.now += 1
    log.leaves("broker", "broker is back")
    for _ in range(500):
        log.leaves("broker", "broker is back")
    assert lines.published == [
        ("warning", "no broker", {"error": "Refused"}),
        ("info", "broker is back", {"after_times": 500, "after_seconds": 500}),
    ]


def test_what_lasts_is_reported_again_with_its_count_once_in_a_while() -> None:
    lines, clock, log = staged()
    for _ in range(1801):
        log.enters("broker", "down", "warning", "no broker")
        clock.now += 1
    assert [fields for _, _, fields in lines.published] == [
        {},
        *({"times": seconds + 1, "for_seconds": seconds} for seconds in (600, 1200, 1800)),
    ]


def test_another_state_is_reported_at_once_and_each_subject_by_itself() -> None:
    lines, _, log = staged()
    for _ in range(3):
        log.enters("a", "down", "warning", "down")
        log.enters("b", "down", "warning", "down too")
    log.enters("a", "slow", "warning", "slow")
    assert [event for _, event, _ in lines.published] == ["down", "down too", "slow"]


def test_what_goes_to_and_fro_has_few_lines_and_then_the_number_of_the_others() -> None:
    lines, clock, log = staged()
    for _ in range(int(REMIND) - 1):
        log.enters("broker", "down", "warning", "down")
        log.leaves("broker", "up")
        clock.now += 1
    assert len(lines.published) == MOST_LINES
    clock.now = REMIND
    log.enters("broker", "down", "warning", "down")
    assert lines.published[-1] == ("warning", "down", {"changes_untold": 2 * (int(REMIND) - 1) - MOST_LINES})


def test_any_number_of_subjects_is_remembered_in_bounded_memory() -> None:
    lines, _, log = staged()
    for number in range(10_000):
        log.enters(f"subject {number}", "down", "info", "down")
    assert len(lines.published) == 10_000
    assert len(log._subjects) < 1_000
