"""Made-up cases for the demo: each a life of messages, and for every message what shall be paid once it is accepted.

What shall be paid is known here by making, not by calculation: nothing of the derivation is used, so that the outcome of a run can be
compared with it (`demo.oracle`). Class codes and areas stand here once more for the same reason.
"""

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

_IDS: Final = uuid.UUID("2b1a7f4e-93f1-5f0e-8d55-6c1f0a7e3b21")
_MONDAYS: Final = tuple(date(2025, 1, 6) + timedelta(weeks=week) for week in range(30))
WEEKDAY, MONTH, ONE_OFF = "DAG", "MND", "ENG"


class Days(Struct, frozen=True):
    """Places `first` to `last` (from 0, both included) on a payment's own calendar, paid `amount` kroner each (a one-off: in all)."""

    first: int
    last: int
    amount: int


class Pay(Struct, frozen=True):
    """One payment as it shall be. `label` tells it apart in its case; no `days` means that it has ceased.

    Place n is the n-th weekday after `base` for a weekday rate, else the n-th day.
    """

    label: str
    benefit: str
    area: str
    class_code: str
    rate: str
    base: date
    days: tuple[Days, ...]

    def day(self, place: int) -> date:
        """The date of a place."""
        if self.rate == WEEKDAY:
            return self.base + timedelta(days=place // 5 * 7 + place % 5)
        return self.base + timedelta(days=place)


class MadeMessage(Struct, frozen=True):
    """One message of a case: what it shows, and the payments that it names. `spoilt` names the mistake in one that must be refused.

    `rushed`: it follows so fast that the one before it has no answer yet.
    """

    shows: str
    named: tuple[Pay, ...]
    spoilt: str = ""
    rushed: bool = False


class Life(Struct, frozen=True):
    """A case with its messages in order."""

    scheme: str
    case_id: str
    person: str
    steps: tuple[MadeMessage, ...]


class Grant(Struct, frozen=True):
    """A kind of payment that the demo knows: benefit, area and class code as the rail books it, and usual amounts."""

    benefit: str
    area: str
    class_code: str
    amounts: tuple[int, int]


DP, DP_HOLIDAY = (
    Grant("Dagpenger", "DP", "DAGPENGER", (200, 1077)),
    Grant("DagpengerFerietillegg", "DP", "DAGPENGERFERIE", (900, 9000)),
)
AAP = Grant("", "AAP", "AAPOR", (300, 1100))
TP, TP_CHILDREN = (
    Grant("ARBEIDSTRENING", "TILTPENG", "TPTPATT", (285, 298)),
    Grant("ARBEIDSTRENING+", "TILTPENG", "TPBTATTILT", (53, 159)),
)
TS = (
    Grant("TILSYN_BARN_AAP", "TILLSTPB", "TSTBASISP4-OP", (400, 4000)),
    Grant("LÆREMIDLER_AAP", "TILLSTLM", "TSLMASISP3-OP", (450, 900)),
    Grant("BOUTGIFTER_AAP", "TILLSTBO", "TSBUASIA-OP", (2000, 4900)),
    Grant("DAGLIG_REISE_TILTAK_AVKLARING", "TILLSTDR", "TSDRAAG-OP", (40, 400)),
)
HISTORISK = (
    Grant("ORTOSE", "HELSREF", "HTOHHÅ", (800, 6000)),
    Grant("PARYKK", "HELSREF", "HTOHPAAV", (1000, 7000)),
    Grant("REISEUTGIFTER", "HELSREF", "HTRUTR", (100, 2000)),
)
VALP = (
    Grant("ARBEIDSMARKEDSOPPLAERING_SKOLEPENGER", "TILSOPP", "TTOAAMOSKOLP", (5000, 40000)),
    Grant("ARBEIDSMARKEDSOPPLAERING_EKSAMENSGEBYR", "TILSOPP", "TTOAAMOEKSGEB", (500, 4000)),
    Grant("FAG_OG_YRKESOPPLAERING_STUDIEREISE", "TILSOPP", "TTOFOYSTUDREIS", (500, 9000)),
)
WHOLE_CASE: Final = frozenset({"dp", "aap", "tp"})
"""Schemes whose messages hold the whole case, so that what a message leaves out ceases."""


class _Maker:
    """Makes the payments of one case by the habits of its scheme, reproducibly."""

    def __init__(self, scheme: str, case_id: str, rng: random.Random) -> None:
        self._scheme, self._case_id, self._rng = scheme, case_id, rng
        self._rate = rng.choice((ONE_OFF, ONE_OFF, MONTH, WEEKDAY)) if scheme == "ts" else ONE_OFF
        self._kind = rng.choice(TS)
        self._children = rng.random() < 0.4
        self._made = 0
        self._monday = rng.randrange(8)

    def next(self) -> tuple[Pay, ...]:
        """The payments of the case's next reporting period, or its next payment."""
        self._made += 1
        return _HABITS[self._scheme](self)

    def _id(self) -> str:
        return str(uuid.uuid5(_IDS, f"{self._scheme}/{self._case_id}/{self._made}"))

    def _amount(self, kind: Grant) -> int:
        """A usual amount that ends in a digit of the payment's own: two payments with equal lines would be held for an operator."""
        return self._rng.randint(*kind.amounts) // 10 * 10 + self._made % 10

    def _base(self) -> date:
        return _MONDAYS[self._monday + 2 * (self._made - 1)]

    def _fortnight(self, kind: Grant, label: str) -> Pay:
        """Ten weekdays of a reporting period, in one or two stretches."""
        split = self._rng.choice((None, None, 3, 5, 7))
        amounts = self._amount(kind), self._amount(kind)
        days = (Days(0, 9, amounts[0]),) if split is None else (Days(0, split - 1, amounts[0]), Days(split, 9, amounts[1]))
        return Pay(label, kind.benefit, kind.area, kind.class_code, WEEKDAY, self._base(), days)

    def dp(self) -> tuple[Pay, ...]:
        number = f"13246{self._monday + 2 * self._made:04d}"
        pay = self._fortnight(DP, number)
        if self._made > 1 or self._rng.random() > 0.15:
            return (pay,)
        once = (Days(0, 0, self._amount(DP_HOLIDAY)),)
        return pay, Pay(f"{number}F", DP_HOLIDAY.benefit, DP_HOLIDAY.area, DP_HOLIDAY.class_code, ONE_OFF, self._base(), once)

    def aap(self) -> tuple[Pay, ...]:
        return (self._fortnight(AAP, self._id()),)

    def tp(self) -> tuple[Pay, ...]:
        base = self._base()
        period = f"{base}/{base + timedelta(days=13)}"
        kinds = (TP, TP_CHILDREN) if self._children else (TP,)
        return tuple(self._fortnight(kind, f"{period}|{kind.class_code}") for kind in kinds)

    def ts(self) -> tuple[Pay, ...]:
        if self._made > 2:
            self._kind = self._rng.choice(TS)
        return (self._single(self._kind, self._rate),)

    def historisk(self) -> tuple[Pay, ...]:
        return (self._single(self._rng.choice(HISTORISK), ONE_OFF),)

    def valp(self) -> tuple[Pay, ...]:
        kind = self._rng.choice(VALP)
        days = (Days(0, self._rng.randint(20, 130), self._amount(kind)),)
        return (Pay(self._id(), kind.benefit, kind.area, kind.class_code, ONE_OFF, date(2025, 8, 1), days),)

    def _single(self, kind: Grant, rate: str) -> Pay:
        base, rng = self._base(), self._rng
        months = rng.randint(1, 3)
        length = {ONE_OFF: rng.choice((1, 1, 5, 20)), WEEKDAY: 10, MONTH: 30}[rate]
        gap = {ONE_OFF: 31, WEEKDAY: 10, MONTH: 30}[rate]
        days = tuple(Days(gap * place, gap * place + length - 1, self._amount(kind)) for place in range(months))
        return Pay(self._id(), kind.benefit, kind.area, kind.class_code, rate, base, days)


_HABITS: dict[str, Callable[[_Maker], tuple[Pay, ...]]] = {
    "dp": _Maker.dp,
    "aap": _Maker.aap,
    "ts": _Maker.ts,
    "tp": _Maker.tp,
    "historisk": _Maker.historisk,
    "valp": _Maker.valp,
}


def _raise(pay: Pay, rng: random.Random) -> tuple[Days, ...]:
    """More for all, or for the last stretch only."""
    more, from_place = 10 * rng.randint(1, 20), rng.choice((0, len(pay.days) - 1))
    return tuple(replace(each, amount=each.amount + more) if place >= from_place else each for place, each in enumerate(pay.days))


def _cut(pay: Pay, rng: random.Random) -> tuple[Days, ...]:
    """An earlier end."""
    *kept, last = pay.days
    if last.first == last.last:
        return tuple(kept)
    return (*kept, replace(last, last=rng.randint(last.first, last.last - 1)))


def _move(pay: Pay, rng: random.Random) -> tuple[Days, ...]:
    """A later start."""
    first, *rest = pay.days
    if first.first == first.last:
        return tuple(rest)
    return (replace(first, first=rng.randint(first.first + 1, first.last)), *rest)


def _gap(pay: Pay, rng: random.Random) -> tuple[Days, ...]:
    """A day in the middle without pay."""
    place = max(range(len(pay.days)), key=lambda each: pay.days[each].last - pay.days[each].first)
    widest = pay.days[place]
    if widest.last - widest.first < 2:
        return ()
    hole = rng.randint(widest.first + 1, widest.last - 1)
    return (*pay.days[:place], replace(widest, last=hole - 1), replace(widest, first=hole + 1), *pay.days[place + 1 :])


_EDITS: dict[str, Callable[[Pay, random.Random], tuple[Days, ...]]] = {"raise": _raise, "cut": _cut, "move": _move, "gap": _gap}
_CORRECTIONS: Final = ("raise", "raise", "cut", "cut", "move", "gap", "grow", "grow", "omit", "cease all", "re-open", "no change")
_MISTAKES: Final = {
    "dp": ("person", "same day twice", "torn"),
    "aap": ("person", "overlap", "backwards"),
    "ts": ("person", "overlap", "backwards", "benefit"),
    "tp": ("person", "overlap", "backwards"),
    "historisk": ("person", "overlap", "benefit"),
    "valp": ("person", "backwards", "torn"),
}


class _Living:
    """A case as its sender sees it: what is being paid, and what has been."""

    def __init__(self, scheme: str, maker: _Maker, rng: random.Random) -> None:
        self._scheme, self._maker, self._rng = scheme, maker, rng
        self._pays: dict[str, Pay] = {}
        self._before: dict[str, tuple[Days, ...]] = {}
        self._last: tuple[Pay, ...] = ()

    def first(self) -> MadeMessage:
        count = self._rng.randint(1, 3) if self._scheme in WHOLE_CASE else 1
        return MadeMessage("first", self._say([pay for _ in range(count) for pay in self._maker.next()]) or ())

    def correct(self) -> MadeMessage:
        """A correction that makes sense as the case stands."""
        while True:
            shows = self._rng.choice(_CORRECTIONS)
            named = self._last if shows == "no change" else self._say(self._changes(shows))
            if named is not None:
                return MadeMessage(shows, named)

    def spoil(self) -> MadeMessage:
        """A mistake in what would otherwise be a correction; it changes nothing, also not in the sender's mind."""
        pays = tuple(replace(pay, days=_raise(pay, self._rng)) for pay in self._living())
        if not pays:
            return self.correct()
        named = pays if self._scheme in WHOLE_CASE else pays[:1]
        return MadeMessage("mistake", named, spoilt=self._rng.choice(_MISTAKES[self._scheme]))

    def _living(self) -> list[Pay]:
        return [pay for pay in self._pays.values() if pay.days]

    def _changes(self, shows: str) -> list[Pay]:
        living = self._living()
        if shows == "grow" and len(self._pays) < 6:
            return list(self._maker.next())
        if shows == "re-open":
            ceased = [pay for pay in self._pays.values() if not pay.days]
            return [replace(pay, days=self._before[pay.label]) for pay in ceased[:1]]
        if shows == "cease all":
            return [replace(pay, days=()) for pay in living]
        if not living or shows == "grow":
            return []
        pay = self._rng.choice(living)
        if shows == "omit":
            return [replace(pay, days=())]
        days = _EDITS[shows](pay, self._rng)
        return [replace(pay, days=days)] if days and (self._scheme != "valp" or len(days) == 1) else []

    def _say(self, changes: Sequence[Pay]) -> tuple[Pay, ...] | None:
        """Takes changes in and returns what a message must name to say them; None when there are none."""
        if self._scheme not in WHOLE_CASE:
            # One order per message, so that one answer covers all of it: one area, and for some schemes one payment.
            most = len(changes) if self._scheme == "ts" else 1
            changes = [pay for pay in changes[:most] if pay.area == changes[0].area]
        for pay in changes:
            if pay.days:
                self._before[pay.label] = pay.days
            self._pays[pay.label] = pay
        if not changes:
            return None
        self._last = tuple(self._living()) if self._scheme in WHOLE_CASE else tuple(changes)
        return self._last


def _person(rng: random.Random) -> str:
    """Eleven digits of nobody: the month is raised by 80, as in synthetic numbers."""
    return f"{rng.randint(1, 28):02d}{rng.randint(81, 92)}{rng.randint(50, 99)}{rng.randint(0, 99999):05d}"


def lives(count: int, run: str, seed: int) -> Iterator[Life]:
    """`count` cases spread over all schemes. `run` stands in every case id; the same arguments give the same cases."""
    rng = random.Random(f"{seed}/{run}")  # noqa: S311 -- reproducible cases, no secret
    schemes = tuple(_HABITS)
    for number in range(count):
        scheme = schemes[number % len(schemes)]
        case_id = f"{scheme.upper()[:4]}{run}-{number}"
        yield Life(scheme, case_id, _person(rng), _steps(scheme, case_id, rng))


def _steps(scheme: str, case_id: str, rng: random.Random) -> tuple[MadeMessage, ...]:
    living = _Living(scheme, _Maker(scheme, case_id, rng), rng)
    steps = [living.first()]
    for _ in range(rng.randint(3, 7)):
        step = living.spoil() if rng.random() < 0.03 else living.correct()
        steps.append(replace(step, rushed=rng.random() < 0.3))
    return tuple(steps)
