"""Faults on demand: what shall go wrong at the rail, kept in a table so that any process can switch it, drawn reproducibly.

Whether an order is struck depends on the seed, its message id and the fault's name only, never on how orders fall into batches.
"""

from random import Random

import msgspec
from msgspec import Struct

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.answers import WARNING
from kvitt.rails.oppdrag.emulator.damage import DamageForm
from kvitt.rails.oppdrag.emulator.order import EmulatedAnswer

_SQL = load("emulator", package="kvitt.rails.oppdrag.emulator")
REFUSAL = EmulatedAnswer("12", "Teknisk feil, forsøk på nytt", "B610099F", "K231B610", "CA10")


class Chance(Struct, frozen=True, forbid_unknown_fields=True):
    """How often a fault strikes: the next `next` orders for certain, each later one with `probability` (0..1)."""

    probability: float = 0.0
    next: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0 or self.next < 0:
            raise ValueError("a chance is a probability between 0 and 1 and a count that is not negative")


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """All faults of the rail; the plain value is a rail without any.

    swallow: no receipt, though the order takes effect · delay: the receipt comes after `delay_seconds` · double: it comes twice ·
    reorder: the struck receipts of a batch change places · damage: it comes in one of `damage_forms` · refuse: the order is answered with
    `refusal` (severity 08 or 12) and not booked · warn: an accepted order is answered with `warning` (04) · closed: the rail reads nothing
    · lose: the order is gone at the rail as if it had never come · invent: the rail believes to have another order beside it, unanswered.
    """

    swallow: Chance = Chance()
    delay: Chance = Chance()
    delay_seconds: float = 0.0
    double: Chance = Chance()
    reorder: Chance = Chance()
    damage: Chance = Chance()
    damage_forms: tuple[DamageForm, ...] = tuple(DamageForm)
    refuse: Chance = Chance()
    refusal: EmulatedAnswer = REFUSAL
    warn: Chance = Chance()
    warning: EmulatedAnswer = WARNING
    closed: bool = False
    lose: Chance = Chance()
    invent: Chance = Chance()

    def __post_init__(self) -> None:
        if not self.damage_forms:
            raise ValueError("damage needs at least one form")


class Strike(Struct, frozen=True):
    """Faults that strike one order."""

    swallow: bool
    delay: bool
    double: bool
    reorder: bool
    damage: DamageForm | None
    refuse: bool
    warn: bool
    lose: bool = False
    invent: bool = False


class Dice:
    """Draws the strikes of a batch and counts down the certain ones; `left` is what then remains switched on."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.left = faults
        self._seed = seed

    def strike(self, message_id: str) -> Strike:
        damaged = self._hits("damage", message_id)
        return Strike(
            swallow=self._hits("swallow", message_id),
            delay=self._hits("delay", message_id),
            double=self._hits("double", message_id),
            reorder=self._hits("reorder", message_id),
            damage=self._random("form", message_id).choice(self.left.damage_forms) if damaged else None,
            refuse=self._hits("refuse", message_id),
            warn=self._hits("warn", message_id),
            lose=self._hits("lose", message_id),
            invent=self._hits("invent", message_id),
        )

    def shuffled(self, count: int, batch: str) -> list[int]:
        """The places 0..count-1 in another order, the same for the same batch."""
        places = list(range(count))
        self._random("shuffle", batch).shuffle(places)
        return places

    def _hits(self, fault: str, message_id: str) -> bool:
        chance: Chance = getattr(self.left, fault)
        if chance.next > 0:
            self.left = msgspec.structs.replace(self.left, **{fault: Chance(chance.probability, chance.next - 1)})
            return True
        return chance.probability > 0 and self._random(fault, message_id).random() < chance.probability

    def _random(self, purpose: str, message_id: str) -> Random:
        return Random(f"{self._seed}/{purpose}/{message_id}")  # noqa: S311 -- reproducible chance, no secret


def get_faults(conn: TupleConnection) -> Faults:
    """The faults that are switched on now."""
    stored = fetch_value(conn, _SQL.get_faults)
    return Faults() if stored is None else msgspec.json.decode(stored, type=Faults)


def set_faults(conn: TupleConnection, faults: Faults) -> None:
    """Switches faults on and off from the next batch on; `Faults()` switches all of them off."""
    conn.execute(_SQL.set_faults, {"faults": msgspec.json.encode(faults).decode()})


def lock_faults(conn: TupleConnection) -> None:
    """Keeps others from changing or counting down the faults until the transaction ends."""
    conn.execute(_SQL.lock_faults)


def is_counting(faults: Faults) -> bool:
    """Whether some fault strikes a counted number of orders, so that the count has to be kept."""
    chances = (faults.swallow, faults.delay, faults.double, faults.reorder, faults.damage, faults.refuse, faults.warn)
    return any(chance.next > 0 for chance in (*chances, faults.lose, faults.invent))
