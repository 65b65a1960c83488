"""The rail emulator with its queues, for tests: the hub's side of it, and the orders that they begin with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from kvitt.kernel.database import connect
from kvitt.kernel.queue import Outgoing
from kvitt.rails.oppdrag.emulator import Emulator, JudgedRun, received, reconciliations, spans
from kvitt.transports.queue.table_queue import TableQueue
from support.emulator_orders import Line, order_xml

JUNE = "2026-06-"
FIRST = Line("L1", "2026-06-01", "2026-06-12", 640)
NEXT = Line("L2", "2026-06-15", "2026-06-19", 640, ref="L1")


class Rail:
    """An emulator with its queues and a clock that stands still; `send` and `answers` are the hub's side of it."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self.now = datetime(2026, 6, 15, 12, tzinfo=UTC)
        self.orders = TableQueue(conninfo, "orders")
        self.replies = TableQueue(conninfo, "answers")
        self.conn = connect(conninfo)
        self.requests = TableQueue(conninfo, "orders")
        self.reports = TableQueue(conninfo, "reports")
        self.emulator = self.another()
        self.sent = 0

    def another(self, open_reply_queue: Callable[[str], TableQueue] | None = None, seed: int = 7) -> Emulator:
        opener = open_reply_queue or (lambda name: TableQueue(self.conninfo, name))
        return Emulator(
            self.conninfo,
            self.requests,
            opener,
            seed,
            wait_seconds=0,
            clock=lambda: self.now,
            reconciliation=TableQueue(self.conninfo, "reports"),
        )

    def put(self, *bodies: bytes, reply_to: str = "answers") -> list[str]:
        names = [f"m{self.sent + place}" for place in range(len(bodies))]
        self.sent += len(bodies)
        self.orders.put([Outgoing(name, body, reply_to) for name, body in zip(names, bodies, strict=True)])
        return names

    def work(self) -> None:
        while self.emulator.step():
            pass

    def answers(self) -> list[bytes]:
        bodies: list[bytes] = []
        while got := self.replies.receive(500, 0):
            bodies += [delivery.body for delivery in got]
            self.replies.acknowledge()
        return bodies

    def ask(self, *bodies: bytes) -> list[str]:
        """Sends orders in one batch and returns `severity code text` of each answer, in order."""
        self.put(*bodies)
        self.work()
        return [said(answer) for answer in self.answers()]

    def report(self, *bodies: bytes) -> None:
        """Sends messages of reconciliation, which the rail then reads."""
        self.reports.put([Outgoing(f"r{self.sent + place}", body) for place, body in enumerate(bodies)])
        self.sent += len(bodies)
        self.work()

    def judged(self, run_id: str | None = None) -> JudgedRun:
        """The newest run, or one."""
        return reconciliations(self.conn, run_id)[-1]

    def outcomes(self) -> list[str]:
        return [order.outcome for order in received(self.conn)]

    def paid(self, case: str = "SAK-1", area: str = "AAP") -> list[tuple[str, str, int]]:
        return [(span.start.isoformat(), span.end.isoformat(), span.amount) for span in spans(self.conn, area, case)]

    def close(self) -> None:
        self.emulator.close()
        for queue in (self.orders, self.replies, self.reports):
            queue.close()
        self.conn.close()


@contextmanager
def staged(conninfo: str) -> Iterator[Rail]:
    """A rail for as long as the block runs."""
    playing = Rail(conninfo)
    yield playing
    playing.close()


def said(answer: bytes) -> str:
    text = answer.decode()
    parts = [text.partition(f"<{name}>")[2].partition("<")[0] for name in ("alvorlighetsgrad", "kodeMelding", "beskrMelding")]
    return " ".join(part for part in parts if part)


def change(*lines: Line, case: str = "SAK-1", hold_backs: str = "") -> bytes:
    return order_xml(*lines, case=case, change="ENDR", hold_backs=hold_backs)


def day(number: int) -> str:
    return f"{JUNE}{number:02}"


def forget_puts(rail: Rail) -> None:
    """Makes the order queue forget the ids that it has seen, as a broker does that can't tell."""
    rail.orders.prune(datetime.now(UTC) + timedelta(days=1))
