"""Pay that is expected beside pay that is simulated, in days that can be compared; and two simulations beside each other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from kvitt.disbursement.expected_pay import ExpectedPay, PayPiece, end_of_month, is_weekday, pieces_of
from kvitt.disbursement.holding import Paid
from kvitt.disbursement.simulation_figures import SimulatedFigures
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner

MOST_DIFFERENCES: Final = 100
"""One is enough to stop an order; a person who hears of a hundred has more than can be read."""


class DifferenceKind(StrEnum):
    """Ways in which the rail would pay something else than is expected; the values stand in the store."""

    OTHER_AMOUNT = "other_amount"
    NOT_PAID = "not_paid"
    """Something is wanted, and the rail would pay nothing."""
    NOT_WANTED = "not_wanted"
    """The rail would pay, and nothing is wanted."""
    UNTOUCHED = "untouched"
    """The order does not change these days, and the rail would pay something else than stands."""
    RECOVERS = "recovers"
    """More is recovered than is allowed."""
    NOT_SIMULATED = "not_simulated"
    """Days beyond the turn of the year that are not in the answer: rates may not be active yet."""
    NOT_KNOWN = "not_known"
    """The rail would pay more than is expected, and another hub had payments of the case of which that may be."""


class PayDifference(Struct, frozen=True, omit_defaults=True):
    """Days of a class code, how much is expected of them together, and how much the rail would pay.

    Of a recovery: how much is allowed, and how much there would be.
    """

    kind: DifferenceKind
    class_code: str
    first_day: date
    last_day: date
    expected_kroner: Kroner = Kroner(0)
    simulated_kroner: Kroner = Kroner(0)

    def __str__(self) -> str:
        when = f"on {self.first_day}" if self.first_day == self.last_day else f"from {self.first_day} to {self.last_day}"
        return _SENTENCES[self.kind].format(
            days=f"{self.class_code} {when}", expected=self.expected_kroner or "nothing", simulated=self.simulated_kroner or "nothing"
        )


_SENTENCES: Final[Mapping[DifferenceKind, str]] = {
    DifferenceKind.OTHER_AMOUNT: "{days}: {expected} is wanted, and the rail would pay {simulated}",
    DifferenceKind.NOT_PAID: "{days}: {expected} is wanted, and the rail would pay nothing",
    DifferenceKind.NOT_WANTED: "{days}: nothing is wanted, and the rail would pay {simulated}",
    DifferenceKind.UNTOUCHED: "{days}: {expected} stands and is not changed, and the rail would pay {simulated}",
    DifferenceKind.RECOVERS: "{days}: the rail would recover {simulated}, and at most {expected} is allowed",
    DifferenceKind.NOT_SIMULATED: "{days}: not simulated, as the rail's rates of that year may not be active yet",
    DifferenceKind.NOT_KNOWN: "{days}: {expected} is wanted, and the rail would pay {simulated}; the rest may be another hub's",
}


class PicturePart(Struct, frozen=True, omit_defaults=True):
    """Days of a class code that are alike: what stands, what is wanted, what the rail would pay and recover, each of all days together."""

    class_code: str
    first_day: date
    last_day: date
    stands_kroner: Kroner
    expected_kroner: Kroner
    simulated_kroner: Kroner
    recovered_kroner: Kroner = Kroner(0)


class ComparedPay(Struct, frozen=True):
    """Days that are compared as one, how they differ, if they do, and whether the order changes them."""

    kind: DifferenceKind | None
    part: PicturePart
    changed: bool = True


def compared_pay(
    expected: ExpectedPay, own: Iterable[SimulatedFigures], today: date, *, single_ends: bool = False
) -> tuple[ComparedPay, ...]:
    """The days of an order and its simulation, by class code, with how the rail would pay other than is expected.

    A day that the order does not change, or on which nothing is wanted, may be missing in the answer. A single payment is changed by its
    first day and its amount; with `single_ends` by its last day too.
    """
    by_code = _by_code(own)
    codes = {*by_code, *(each.class_code for each in (*expected.before, *expected.after))}
    return tuple([each for code in sorted(codes) for each in _of_code(expected, code, by_code[code], today, single_ends=single_ends)])


def differences_in(compared: Iterable[ComparedPay]) -> tuple[PayDifference, ...]:
    """The days that differ, neighbours joined."""
    found = [
        PayDifference(each.kind, part.class_code, part.first_day, part.last_day, part.expected_kroner, part.simulated_kroner)
        for each in compared
        if each.kind
        for part in (each.part,)
    ]
    return tuple(_joined(found))


def _of_code(expected: ExpectedPay, code: str, own: Sequence[SimulatedFigures], today: date, *, single_ends: bool) -> Iterator[ComparedPay]:
    before, after = ([each for each in spans if each.class_code == code] for spans in (expected.before, expected.after))
    turn = date(today.year, 12, 31).toordinal()
    last = max([turn, *(end_of_month(each.end.toordinal()) for each in own)])
    first = min([each.start for each in (*before, *after)] + [each.start.toordinal() for each in own])
    were, will = ([piece for span in spans for piece in pieces_of(span, first, last)] for spans in (before, after))
    for days in _compared_days(were, will, _simulated(own)):
        changed = days.changed(single_ends=single_ends)
        kind = days.difference(turn=turn, changed=changed)
        if kind and not expected.complete and days.pays_more:
            kind = None if days.paid_before(own) else DifferenceKind.NOT_KNOWN
        if kind or days.simulated:
            start, end = date.fromordinal(days.start), date.fromordinal(days.end)
            sums = _sum(days.before), _sum(days.after), _sum(days.simulated)
            yield ComparedPay(kind, PicturePart(code, start, end, *sums, _recovered(own, start, end)), changed)
    yield from _beyond(code, before, after, last, single_ends=single_ends)


def _beyond(code: str, before: Sequence[Paid], after: Sequence[Paid], last: int, *, single_ends: bool) -> Iterator[ComparedPay]:
    """The days after the last one that was compared which the order changes."""
    ends = [{(each, each.end if single_ends else _last_due(each)) for each in spans} for spans in (before, after)]
    were, will = ({(max(each.start, last + 1), end, each.amount) for each, end in of_side if end > last} for of_side in ends)
    if days := will - were:
        first, end = min(start for start, _, _ in days), max(end for _, end, _ in days)
        nothing = Kroner(0)
        part = PicturePart(code, date.fromordinal(first), date.fromordinal(end), nothing, nothing, nothing)
        yield ComparedPay(DifferenceKind.NOT_SIMULATED, part)


def _last_due(paid: Paid) -> int:
    """The last day on which something of it may fall due."""
    return paid.start if paid.rate is RateType.ONE_OFF else paid.end


def alike(compared: Iterable[ComparedPay]) -> Iterator[PicturePart]:
    """Days that follow each other, but for weekends, and have the same amounts, as one each."""
    kept, last, days = None, None, 0
    for part in (each.part for each in compared):
        if (
            kept
            and last
            and _amounts(part) == _amounts(last)
            and part.class_code == kept.class_code
            and _follows(last.last_day, part.first_day)
        ):
            days, last = days + 1, part
            continue
        if kept and last:
            yield _times(kept, last, days)
        kept, last, days = part, part, 1
    if kept and last:
        yield _times(kept, last, days)


def _amounts(part: PicturePart) -> tuple[Kroner, ...]:
    return part.stands_kroner, part.expected_kroner, part.simulated_kroner, part.recovered_kroner


def _times(first: PicturePart, last: PicturePart, days: int) -> PicturePart:
    return PicturePart(first.class_code, first.first_day, last.last_day, *(Kroner(each * days) for each in _amounts(first)))


class _ComparedDays:
    """Days that can not be parted further, because a piece on one side spans them all."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.before: list[PayPiece] = []
        self.after: list[PayPiece] = []
        self.simulated: list[PayPiece] = []

    def changed(self, *, single_ends: bool) -> bool:
        """Whether the order changes what is due on these days, or, if asked for, the last day of a single payment."""
        before, after = ([each if single_ends else _due(each) for each in pieces] for pieces in (self.before, self.after))
        return sorted(before) != sorted(after)

    @property
    def pays_more(self) -> bool:
        """Whether the rail would pay more than is expected."""
        return _sum(self.simulated) > _sum(self.after)

    def paid_before(self, own: Iterable[SimulatedFigures]) -> bool:
        """Whether the rail has paid as much more than stands as it would pay more than is expected."""
        paid = sum(each.paid_before for each in own if self.start <= each.start.toordinal() <= self.end)
        return paid - _sum(self.before) == _sum(self.simulated) - _sum(self.after)

    def difference(self, *, turn: int, changed: bool) -> DifferenceKind | None:
        """How the rail would pay other than is expected; None when it would not."""
        expected, simulated = _sum(self.after), _sum(self.simulated)
        if expected == simulated:
            return None
        if not self.simulated and not changed:
            return None
        if not self.simulated and self.start > turn:
            return DifferenceKind.NOT_SIMULATED
        if not changed:
            return DifferenceKind.UNTOUCHED
        if not simulated:
            return DifferenceKind.NOT_PAID
        return DifferenceKind.OTHER_AMOUNT if expected else DifferenceKind.NOT_WANTED


def _compared_days(before: Iterable[PayPiece], after: Iterable[PayPiece], simulated: Iterable[PayPiece]) -> Iterator[_ComparedDays]:
    """The pieces of the three sides by days, in order; pieces that overlap are together."""
    sides = [*((each, 0) for each in before), *((each, 1) for each in after), *((each, 2) for each in simulated)]
    stretch: _ComparedDays | None = None
    for piece, side in sorted(sides):
        if stretch is None or piece.start > stretch.end:
            if stretch:
                yield stretch
            stretch = _ComparedDays(piece.start, piece.end)
        stretch.end = max(stretch.end, piece.end)
        (stretch.before, stretch.after, stretch.simulated)[side].append(piece)
    if stretch:
        yield stretch


def _due(piece: PayPiece) -> PayPiece:
    return replace(piece, end=piece.start) if piece.single else piece


def _sum(pieces: Iterable[PayPiece]) -> Kroner:
    return Kroner(sum(each.amount for each in pieces))


def _joined(differences: Iterable[PayDifference]) -> Iterator[PayDifference]:
    """Differences of one kind on days that follow each other, but for weekends, as one each."""
    kept: PayDifference | None = None
    for each in differences:
        if kept and (kept.kind, kept.class_code) == (each.kind, each.class_code) and _follows(kept.last_day, each.first_day):
            expected, simulated = kept.expected_kroner + each.expected_kroner, kept.simulated_kroner + each.simulated_kroner
            kept = replace(kept, last_day=each.last_day, expected_kroner=Kroner(expected), simulated_kroner=Kroner(simulated))
            continue
        if kept:
            yield kept
        kept = each
    if kept:
        yield kept


def _follows(one: date, other: date) -> bool:
    return not any(is_weekday(day) for day in range(one.toordinal() + 1, other.toordinal()))


class PictureChange(Struct, frozen=True, omit_defaults=True):
    """Days of a class code of which two simulations of one order say something else: what they pay, and what they recover."""

    class_code: str
    first_day: date
    last_day: date
    seen_pays_kroner: Kroner
    now_pays_kroner: Kroner
    seen_recovers_kroner: Kroner = Kroner(0)
    now_recovers_kroner: Kroner = Kroner(0)


def picture_changes(seen: Iterable[SimulatedFigures], now: Iterable[SimulatedFigures]) -> tuple[PictureChange, ...]:
    """Compares what an approver saw with what the rail says now: pay and recovery by day and class code, not what was paid before.

    Neighbours are joined.
    """
    before, after = _by_code(seen), _by_code(now)
    found: list[PictureChange] = []
    for each in (each for code in sorted({*before, *after}) for each in _changes(code, before[code], after[code])):
        if found and found[-1].class_code == each.class_code and _follows(found[-1].last_day, each.first_day):
            found[-1] = _with_neighbour(found[-1], each)
        else:
            found.append(each)
    return tuple(found[:MOST_DIFFERENCES])


def _with_neighbour(one: PictureChange, other: PictureChange) -> PictureChange:
    return PictureChange(
        one.class_code,
        one.first_day,
        other.last_day,
        Kroner(one.seen_pays_kroner + other.seen_pays_kroner),
        Kroner(one.now_pays_kroner + other.now_pays_kroner),
        Kroner(one.seen_recovers_kroner + other.seen_recovers_kroner),
        Kroner(one.now_recovers_kroner + other.now_recovers_kroner),
    )


def _changes(code: str, seen: Sequence[SimulatedFigures], now: Sequence[SimulatedFigures]) -> Iterator[PictureChange]:
    for stretch in _compared_days(_simulated(seen), _simulated(now), ()):
        start, end = date.fromordinal(stretch.start), date.fromordinal(stretch.end)
        pays = _sum(stretch.before), _sum(stretch.after)
        back = _recovered(seen, start, end), _recovered(now, start, end)
        if pays[0] != pays[1] or back[0] != back[1]:
            yield PictureChange(code, start, end, *pays, *back)


def _recovered(figures_of_code: Iterable[SimulatedFigures], start: date, end: date) -> Kroner:
    return Kroner(sum(each.recovered for each in figures_of_code if start <= each.start <= end))


def _by_code(own: Iterable[SimulatedFigures]) -> defaultdict[str, list[SimulatedFigures]]:
    found: defaultdict[str, list[SimulatedFigures]] = defaultdict(list)
    for figure in own:
        found[figure.class_code].append(figure)
    return found


def _simulated(own: Iterable[SimulatedFigures]) -> list[PayPiece]:
    return [PayPiece(each.start.toordinal(), each.end.toordinal(), each.pays) for each in own]


_differences, _picture = Decoder(tuple[PayDifference, ...]), Decoder(tuple[PicturePart, ...])


def decode_differences(stored: str) -> tuple[PayDifference, ...]:
    """The differences in a JSON array. Raises msgspec.ValidationError for a kind that is not known."""
    return _differences.decode(stored)


def decode_picture(stored: str) -> tuple[PicturePart, ...]:
    """The parts of a picture in a JSON array."""
    return _picture.decode(stored)
