"""Memory: what the hub's process keeps in RAM while messages go through it, and whether that grows."""

from bench.end_to_end import log_new_cases, wait_until_answered
from bench.place import Place
from bench.processes import CASE_ROLES, hub_process, resident_mib
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.topics import make_log
from kvitt.kernel.database import connect

MOST_MIB = 300
_LOOKS = 3


def run(place: Place, size: Size) -> None:
    """All roles of the hub in one process, the emulator in another; RAM after each third of the messages."""
    step = size.memory_messages // _LOOKS
    resident = []
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        make_log(conninfo)
        with hub_process(conninfo, ["emulator"]), hub_process(conninfo, [role for role in CASE_ROLES if role != "emulator"]) as hub:
            for look in range(_LOOKS):
                log_new_cases(connection, look * step, step)
                wait_until_answered(connection, (look + 1) * step)
                resident.append(rounded(resident_mib(hub)))
    report(
        Figure(
            name="memory",
            value=resident[-1],
            unit="MiB resident",
            on=f"{_LOOKS * step} messages",
            ratio=rounded(resident[-1] / resident[0]),
            baseline="the same after a third of the messages",
            samples=resident,
            target=Target(most=MOST_MIB),
            durability=place.durability(),
        )
    )
