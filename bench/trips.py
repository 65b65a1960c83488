"""`make trips`: how far a message, a receipt, a payout and a hold travel through the rooms of the house, while the hub does them.

A room is a folder of `src/kvitt`; each contract, rail, transport and API is one of its own, and a module beside the folders is none. Each
time that the code that runs is of another room than the code before it, a call or its return has changed rooms. What every part stands on,
and calls for a moment from wherever it is, is no room on the way: kernel, formats and the modules beside the folders; it is counted in the
last column all the same.
"""

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

import kvitt
from bench.large_case import receipts_of_ready
from bench.ledger_shapes import make_accounts
from bench.messages import Feed
from bench.place import place
from kvitt.app.ports import PORTS
from kvitt.disbursement.settle import Settle
from kvitt.disbursement.submit import Submit
from kvitt.kernel.database import connect
from kvitt.kernel.money import Minor
from kvitt.ledger.calls import Call
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.rules import Batch, Operation, Posting
from kvitt.payouts.model import Cash, NewPayout
from kvitt.payouts.ports import Party, Shop
from kvitt.payouts.rules import AccountType, CashFlowPosting
from kvitt.payouts.service import PayoutService

_HOUSE: Final = Path(kvitt.__file__).parent
_SHARED_ROOFS: Final = frozenset({"contracts", "rails", "transports", "api"})
"""Folders of which each folder inside is a room."""
_SETTLEMENT: Final = AccountType.MERCHANT_SETTLEMENT
_GROUND: Final = frozenset({"kernel", "formats", ""})


class Trip(Struct, frozen=True):
    """What one act of the hub went through."""

    name: str
    files: frozenset[str]
    changes: int
    all_files: frozenset[str]
    all_changes: int


def room_of(file: str) -> str:
    """The room of a file, named from `src/kvitt`; nothing for a module that lies beside the rooms."""
    first, *rest = Path(file).parts
    if not rest:
        return ""
    return f"{first}/{rest[0]}" if first in _SHARED_ROOFS and len(rest) > 1 else first


class Walk:
    """Follows each thread through the house: which file ran, and which one that came back to."""

    def __init__(self) -> None:
        self._house, self._ran = f"{_HOUSE}/", defaultdict[int, list[str]](list)

    @contextmanager
    def follow(self) -> Iterator[None]:
        """This thread and those that it starts are followed, the others also after the block."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def trip(self, name: str, act: Callable[[], object]) -> Trip:
        """Does it once, and counts."""
        self._ran.clear()
        with self.follow():
            act()
        everything = [file for file in self._ran.values() if file]
        walked = [[file for file in ran if room_of(file) not in _GROUND] for ran in everything]
        return Trip(name, _files(walked), _changes(walked), _files(everything), _changes(everything))

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "return"} and self._inside(frame):
            now: FrameType | None = frame if event == "call" else frame.f_back
            while now and not self._inside(now):
                now = now.f_back
            if now:
                self._ran[threading.get_ident()].append(now.f_code.co_filename.removeprefix(self._house))

    def _inside(self, frame: FrameType) -> bool:
        return frame.f_code.co_filename.startswith(self._house)


def _files(threads: Iterable[Sequence[str]]) -> frozenset[str]:
    return frozenset(file for ran in threads for file in ran)


def _changes(threads: Iterable[Sequence[str]]) -> int:
    return sum(room_of(one) != room_of(other) for ran in threads for one, other in pairwise(ran))


def trips(conninfo: str) -> Iterator[Trip]:
    """The trips of a message of a new case, of its receipt, of a payout and of a hold, on an empty database.

    Each is done twice, and counted when nothing is loaded for the first time any more.
    """
    walk, feed = Walk(), Feed()
    with connect(conninfo, application="kvitt trips") as connection:
        submit, settle, post = (
            Submit(connection, _clock, PORTS).execute,
            Settle(connection, _clock, PORTS).execute,
            LedgerWriter(connection, _clock).execute,
        )
        submit(feed.new_cases(1))
        settle(receipts_of_ready(connection))
        message = feed.new_cases(1)
        yield walk.trip("submit", lambda: submit(message))
        receipts = receipts_of_ready(connection)
        yield walk.trip("settle", lambda: settle(receipts))
        shop, paid, system = make_accounts(post, 3)
        earned = Call("earned", Operation.HOLD, (Batch(1, (Posting(paid, shop, Minor(1000), "RUB", "earned"),)),))
        post([earned, replace(earned, operation=Operation.COMMIT)])
        with walk.follow():
            payouts = PayoutService(conninfo, _clock, _Terms(shop, paid, system))
        payouts.create(_payout("payout-1"))
        yield walk.trip("payout", lambda: payouts.create(_payout("payout-2")))
        payouts.close()
        hold = replace(earned, plan_id="hold")
        yield walk.trip("hold", lambda: post([hold]))


def _clock() -> datetime:
    return datetime.now(UTC)


def _payout(payout_id: str) -> NewPayout:
    return NewPayout("party-1", "shop-1", Cash(Minor(100), "RUB"), payout_id)


class _Terms:
    """A PartyManagement that knows one shop, at a fee of 5."""

    def __init__(self, shop: int, paid: int, system: int) -> None:
        self._shop, self._paid, self._system = shop, paid, system

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party:  # noqa: ARG002 - as the port has it
        """The party of the shop."""
        return Party(party_id, {"shop-1": Shop("shop-1", "contract-1", "tool-1", self._shop)}, {"contract-1": frozenset({"tool-1"})})

    def cash_flow(
        self,
        party_id: str,  # noqa: ARG002 - as the port has it
        shop_id: str,  # noqa: ARG002
        cash: Cash,
        created_at: datetime,  # noqa: ARG002
        payout_tool_id: str,  # noqa: ARG002
        *,
        deadline: datetime | None = None,  # noqa: ARG002
    ) -> tuple[CashFlowPosting, ...]:
        """The amount, and the fee on top."""
        amount = CashFlowPosting(_SETTLEMENT, self._shop, AccountType.MERCHANT_PAYOUT, self._paid, cash.amount, cash.currency)
        fee = CashFlowPosting(_SETTLEMENT, self._shop, AccountType.SYSTEM_SETTLEMENT, self._system, Minor(5), cash.currency)
        return amount, fee


def main() -> None:
    """Prints a line for each trip, and with `--files` what it went through."""
    print("trip      files  changes of room  rooms                                         with what every part stands on")
    with place() as here, here.database() as conninfo:
        for each in trips(conninfo):
            rooms = ", ".join(sorted({room_of(file) for file in each.files}))
            ground = f"{len(each.all_files)} files, {each.all_changes} changes"
            print(f"{each.name:8}  {len(each.files):5}  {each.changes:15}  {rooms:44}  {ground}")
            if "--files" in sys.argv:
                print(*sorted(each.all_files), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
