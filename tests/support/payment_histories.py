"""Histories of the single payments of one case: the calls as they are drawn, and a model that says what each is answered.

The model knows the rules of the contract and nothing of how kvitt keeps them (iverksetting §3.2, §3.3, §3.8).
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import permutations
from typing import Final

from hypothesis import strategies as st
from msgspec import Struct, field
from msgspec.structs import replace

from kvitt.rails.oppdrag.emulator import DamageForm
from support.commit_proxy import Cut
from support.single_payments import Body, days

PAYMENTS, CALLERS = 3, 2
UNHARMED: Final = tuple(form for form in DamageForm if form is not DamageForm.TRUNCATED)
"""Damage that leaves a receipt to be read."""
BLOCK_DAYS: Final = 3
_MONTHS: Final = ("2026-06", "2026-07", "2026-08")
Wish = tuple[int, int, int, int]
"""What a payment pays: kroner a day in each of its four blocks of days; nothing where there is 0."""
Answer = tuple[int, str]
"""Status of an answer, and the words of a refusal."""
BUSY: Final = "tbetalingen har et pågående oppdrag, vent til dette er ferdig"


class Verb(Enum):
    """What is asked for."""

    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    AVVENT = "avvent"
    FITS = "PUT where there is a payment, else POST"


class Key(Enum):
    """Whether a call has an Idempotency-Key: none, a new one, that of its caller's last one with the same call, or with another."""

    NONE = "none"
    NEW = "new"
    SAME = "same"
    REUSED = "reused"


class PaymentAsk(Struct, frozen=True):
    """A call; `shown`: its periods are those that GET has, where there are any, and else the wish's.

    `unheard`: if it has a key and is done, the process dies before it keeps the answer, and the caller asks again.
    """

    caller: int
    payment: int
    verb: Verb
    wish: Wish
    shown: bool
    key: Key
    unheard: bool


class AsksAtOnce(Struct, frozen=True):
    """Calls that come at the same time."""

    asks: tuple[PaymentAsk, ...]


class Answers(Struct, frozen=True):
    """How the rail answers from now on: with which severity, and how the receipt comes."""

    severity: str
    doubled: bool
    late: bool
    damage: DamageForm | None
    closed: bool


class Leaves(Struct, frozen=True):
    """What is ready leaves, and the rail answers it."""


class Comes(Struct, frozen=True):
    """All receipts come that are on their way, and what waited is done."""


class Settles(Struct, frozen=True):
    """Both, one after the other."""


class Lost(Struct, frozen=True):
    """The next commit is cut off, before or after it is done."""

    cut: Cut


class Dies(Struct, frozen=True):
    """The next process that comes to this place dies there."""

    place: str


Step = PaymentAsk | AsksAtOnce | Answers | Leaves | Comes | Settles | Lost | Dies


class Change(Struct, frozen=True):
    """An open order: what it makes of a payment; None: it ceases. `corrects`: it changes nothing of it."""

    payment: int
    wish: Wish | None
    corrects: bool = False


class Case(Struct):
    """The case as its rules would have it."""

    paid: list[Wish | None] = field(default_factory=lambda: [None] * PAYMENTS)
    status: list[str | None] = field(default_factory=lambda: [None] * PAYMENTS)
    open: Change | None = None
    sent: bool = False
    refused: bool | None = None
    """Whether the rail refused what is open; None: it has not read it."""
    waiting: list[int] = field(default_factory=list)
    handled: int = 0
    """How many calls were decided under the lock of the case."""

    def copied(self) -> "Case":
        """A case that stands as this one does."""
        return replace(self, paid=[*self.paid], status=[*self.status], waiting=[*self.waiting])

    def shown(self, payment: int) -> Wish | None:
        """What GET has: what is about to be, else what is."""
        of_it = self.open and not self.open.corrects and self.open.payment == payment
        return self.open.wish if self.open and of_it else self.paid[payment]

    def answer(self, verb: Verb, payment: int, wish: Wish, uid: str) -> Answer:
        """What a call is answered; takes in what is done."""
        if verb is Verb.AVVENT:
            return self._correct(payment, uid)
        self.handled += 1
        refused = self._refused(verb, payment, wish, uid)
        if refused is None:
            self._begin(Change(payment, None if verb is Verb.DELETE else wish))
        return refused or (201 if verb is Verb.POST else 204, "")

    def _refused(self, verb: Verb, payment: int, wish: Wish, uid: str) -> Answer | None:
        pending = self.open is not None and not self.open.corrects and self.open.payment == payment
        there = self.paid[payment] is not None or pending
        if verb is Verb.POST:
            if there:
                return 409, f"Utbetaling med uid {uid} finnes allerede"
            return (423, "Saken har et pågående oppdrag, vent til dette er ferdig") if self.open else None
        if not there:
            return 404, f"Fant ikke utbetaling med uid {uid}" + (f". Opprett den med POST /utbetalinger/{uid}" if verb is Verb.PUT else "")
        if self.open:
            return 423, ("u" if verb is Verb.DELETE else "U") + BUSY
        same = wish == self.paid[payment]
        if verb is Verb.DELETE:
            return None if same else (400, "Periodene i utbetalingen samsvarer ikke med det som er lagret hos utsjekk.")
        return (409, "Ingen reell endring") if same else None

    def _correct(self, payment: int, uid: str) -> Answer:
        if self.shown(payment) is None:
            return 404, f"Fant ikke utbetaling med uid {uid}"
        self.handled += 1
        if self.open:
            self.waiting.append(payment)
        else:
            self._begin(Change(payment, None, corrects=True))
        return 201, ""

    def _begin(self, change: Change) -> None:
        self.open, self.sent, self.refused = change, False, None
        if not change.corrects:
            self.status[change.payment] = "IKKE_PÅBEGYNT"

    def leave(self) -> None:
        """What is open leaves."""
        self.sent = self.open is not None
        if self.open and not self.open.corrects:
            self.status[self.open.payment] = "SENDT_TIL_OPPDRAG"

    def read(self, *, refused: bool) -> None:
        """The rail reads what has left."""
        if self.open and self.sent and self.refused is None:
            self.refused = refused

    def settle(self) -> None:
        """What has left is settled, and the next correction that has a payment begins."""
        if self.open is None or self.refused is None:
            return
        if not self.open.corrects:
            self.status[self.open.payment] = "FEILET_MOT_OPPDRAG" if self.refused else "OK"
            if not self.refused:
                self.paid[self.open.payment] = self.open.wish
        self.open = None
        while self.waiting and self.open is None:
            payment = self.waiting.pop(0)
            if self.paid[payment] is not None:
                self._begin(Change(payment, None, corrects=True))

    def days(self) -> Mapping[str, int]:
        """All days that are paid, with the kroner of each."""
        return {str(each["fom"]): int(each["beløp"]) for payment, wish in enumerate(self.paid) if wish for each in spans(payment, wish)}


def after_all(cases: Sequence[Case], asked: Sequence[tuple[Verb, int, Wish, str]], answers: Sequence[Answer]) -> list[Case]:
    """The cases after calls that came at once, for each order of them in which they are answered so; those that stand alike are one."""
    found: list[Case] = []
    for case in cases:
        for order in permutations(range(len(asked))):
            tried = case.copied()
            if all(tried.answer(*asked[place]) == answers[place] for place in order) and tried not in found:
                found.append(tried)
    return found


def spans(payment: int, wish: Wish) -> list[Body]:
    """The days of a payment, each payment in a month of its own: else one would be held for what another pays."""
    first = [1 + BLOCK_DAYS * place for place in range(len(wish))]
    return [
        each
        for start, kroner in zip(first, wish, strict=True)
        if kroner
        for each in days(start, start + BLOCK_DAYS - 1, kroner, month=_MONTHS[payment])
    ]


def wish_in(payment: int, shown: Sequence[Body]) -> Wish:
    """The wish whose days these are."""
    by_day = {str(each["fom"]): int(each["beløp"]) for each in shown}
    found = [by_day.get(f"{_MONTHS[payment]}-{1 + BLOCK_DAYS * place:02}", 0) for place in range(4)]
    return found[0], found[1], found[2], found[3]


_KRONER = st.sampled_from([0, 500, 640])
_WISHES: st.SearchStrategy[Wish] = st.tuples(_KRONER, _KRONER, _KRONER, _KRONER).filter(any)
_PLAIN = st.sampled_from([*[Verb.FITS] * 8, Verb.POST, Verb.PUT, Verb.DELETE])


def _asks(verbs: st.SearchStrategy[Verb], keys: st.SearchStrategy[Key]) -> st.SearchStrategy[PaymentAsk]:
    callers, payments = st.integers(0, CALLERS - 1), st.integers(0, PAYMENTS - 1)
    return st.builds(PaymentAsk, callers, payments, verbs, _WISHES, st.sampled_from([False, False, True]), keys, st.booleans())


_KEYS = st.sampled_from([*[Key.NONE] * 2, *[Key.NEW] * 3, *[Key.SAME] * 2, Key.REUSED])
_ASKS = _asks(st.one_of(_PLAIN, _PLAIN, st.sampled_from(Verb)), _KEYS)
_AT_ONCE = st.lists(_asks(_PLAIN, st.just(Key.NONE)), min_size=2, max_size=3)
_ANSWERS = st.builds(
    Answers,
    severity=st.sampled_from([*["00"] * 4, "04", "08", "12"]),
    doubled=st.booleans(),
    late=st.booleans(),
    damage=st.sampled_from([*[None] * 8, *UNHARMED]),
    closed=st.sampled_from([False, False, False, True]),
)
_ROUND = st.sampled_from([Leaves(), Comes(), Settles(), Settles()])
PLACES: Final = (
    "send.before_dequeue_commit",
    "send.after_dequeue_commit",
    "send.after_put",
    "send.after_sent_commit",
    "settle.before_commit",
    "settle.after_commit",
    "receive.after_acknowledge",
)
STEPS: Final[st.SearchStrategy[Step]] = st.one_of(
    *[_ASKS] * 4,
    *[_ROUND] * 3,
    st.builds(AsksAtOnce, _AT_ONCE.map(tuple)),
    _ANSWERS,
    st.builds(Lost, st.sampled_from(Cut)),
    st.builds(Dies, st.sampled_from(PLACES)),
)
