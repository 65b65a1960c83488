"""The one table of states: the word, the shape and the tone in which each is shown (design §17).

Red is for what a person must act on, and for nothing else. A shape says the same as its colour, to those who see none.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct


class Tone(StrEnum):
    """Kinds of states, each with a colour in light and in dark: `person` must act, `waits` goes on by itself."""

    PERSON = "person"
    WAITS = "waits"
    GOOD = "good"
    ENDED = "ended"


class ShownState(Struct, frozen=True):
    """A state as people read it."""

    word: str
    shape: str
    tone: Tone


def _person(word: str) -> ShownState:
    return ShownState(word, "▲", Tone.PERSON)


def _waits(word: str) -> ShownState:
    return ShownState(word, "◐", Tone.WAITS)


def _good(word: str) -> ShownState:
    return ShownState(word, "●", Tone.GOOD)


def _ended(word: str) -> ShownState:
    return ShownState(word, "○", Tone.ENDED)


STATES: Final[Mapping[str, Mapping[str, ShownState]]] = {
    "order": {
        "ready": _waits("ready to send"),
        "sending": _waits("being sent"),
        "sent": _waits("waits for the receipt"),
        "unknown": _person("unknown: it may be at the rail or not"),
        "accepted": _good("accepted by the rail"),
        "rejected": _ended("rejected by the rail"),
        "withdrawn": _ended("withdrawn"),
        "held": _person("held"),
        "kept": _waits("held, or checked first"),
    },
    "message": {
        "received": _waits("received"),
        "queued": _waits("waits for its case"),
        "derived": _waits("waits for the rail"),
        "answered": _good("answered"),
        "dead": _person("could not be read"),
    },
    "receipt": {
        "accepted": _good("accepted"),
        "rejected": _ended("rejected"),
        "repeat": _ended("said before"),
        "settled": _good("booked"),
        "returned": _ended("returned"),
        "cancelled": _ended("cancelled"),
        "noted": _ended("noted, and changes nothing"),
        "deferred": _waits("waits for its case to be free"),
        "unreadable": _person("unreadable"),
        "unmatched": _person("of no order here"),
        "unclear": _person("says nothing certain"),
        "contradicts": _person("contradicts what stands"),
    },
    "call": {
        "ordered": _good("ordered"),
        "unchanged": _good("nothing to change"),
        "repeated": _ended("said before"),
        "refused": _ended("refused"),
        "queued": _waits("waits for its case"),
        "simulated": _ended("simulated"),
    },
    "dead letter": {"open": _person("waits for a person"), "replayed": _good("replayed"), "closed": _ended("closed")},
    "approval": {
        "asked": _person("waits for a second person"),
        "confirmed": _good("confirmed"),
        "refused": _ended("refused"),
        "taken back": _ended("taken back by who asked"),
        "lapsed": _ended("lapsed"),
        "failed": _ended("could not be done any more"),
    },
    "payment": {"pending": _waits("waits for the receipt"), "accepted": _good("accepted"), "dropped": _ended("dropped")},
    "payout": {
        "unpaid": _waits("held, and not paid yet"),
        "paid": _waits("paid, and not confirmed yet"),
        "confirmed": _good("confirmed"),
        "cancelled": _ended("cancelled"),
    },
    "payout step": {
        "forward": _waits("under way"),
        "compensating": _waits("being compensated"),
        "done": _good("done"),
        "compensated": _ended("compensated"),
    },
    "plan": {"held": _waits("held"), "committed": _good("committed"), "rolled back": _ended("rolled back")},
    "run": {
        "making": _waits("is being made"),
        "made": _waits("is being sent"),
        "good": _good("reported"),
        "empty": _ended("nothing to report"),
        "replaced": _ended("reported again in another run"),
        "dropped": _ended("given up"),
    },
    "run message": {
        "ready": _waits("ready to send"),
        "sending": _waits("being sent"),
        "sent": _good("sent"),
        "unknown": _person("unknown: it may be at the rail or not"),
        "dropped": _ended("never sent"),
    },
    "cancellation": {
        "ready": _waits("ready to send"),
        "sending": _waits("being sent"),
        "sent": _waits("waits for the rail"),
        "unknown": _person("unknown: it may be at the rail or not"),
        "agreed": _good("the rail has agreed"),
        "refused": _ended("the rail has refused"),
        "withdrawn": _ended("not sent: the order was taken back"),
    },
    "simulation": {
        "requested": _waits("waits for the rail"),
        "asked": _waits("the rail is asked"),
        "answered": _good("answered"),
        "refused": _ended("refused: the case has an open order"),
        "closed": _ended("the rail was closed"),
        "failed": _ended("there is none"),
    },
    "finding": {
        "agrees": _good("agrees with what is expected"),
        "differs": _ended("differs from what is expected"),
        "not_compared": _ended("could not be compared"),
        "refused": _ended("refused by the rail"),
        "unavailable": _ended("no answer could be had"),
        "skipped": _ended("skipped"),
    },
    "job": {"scheduled": _good("waits for its time"), "failed": _person("failed")},
    "lease": {"held": _good("held"), "free": _ended("free")},
}
"""By what it is a state of."""


def shown_state(kind: str, state: object) -> ShownState:
    """How a state is shown; one that is not in the table as it is called, without a tone of its own."""
    return STATES.get(kind, {}).get(str(state)) or _ended(str(state))


_DOES: Final[Mapping[str, str]] = {
    "order release": "let the held order be sent",
    "order resend": "send the order once more",
    "orders resend": "send the orders once more",
    "order decide": "settle the order without the rail's word",
    "order adopt": "make the rail's word about the order ours",
    "order keep": "keep what stands of the order, whatever the rail says",
    "order withdraw": "take the order back, which has not left",
    "order cancel": "ask the rail to cancel the order",
    "sending stop": "send nothing more there",
    "sending resume": "let sending go on there",
    "limits set": "limit what the source may have paid",
    "limits clear": "let the settings say again what the source may have paid",
    "order hold-again": "let the cases hold each other's orders again",
    "dead replay unchanged": "append the record to its topic again, as its sender wrote it",
    "dead replay": "append the record to its topic again",
    "dead close": "close the dead letter, which has been dealt with",
    "receipt close": "close the receipt, which has been dealt with",
    "simulation again": "ask the rail once more",
    "reconcile run": "report what is left",
    "reconcile again": "report the days of the run once more, in its place",
    "reconcile resolve": "say whether the queue got the messages",
    "reconcile drop": "give up the run, which is not made whole",
    "payout confirm": "let the money of the payout move",
    "payout paid": "note that the bank has taken the order of the payout",
    "payout cancel": "cancel the payout",
    "payout republish": "publish the events of the payout again",
    "party load": "load the file of parties",
    "ledger transfer": "move the amount from account to account",
    "import forget": "pay nothing of the payment from now on",
    "import helved": "take over the cases of the state topics",
    "import iverksetting": "take over the cases of an older system's tables",
    "kafka set-start-offset": "say where a topic is begun to be read",
}


def does(act: str) -> str:
    """The effect of an act, as a button says it; one that is not in the table as it is called."""
    return _DOES.get(act, act)


_ENDS: Final[Mapping[str, str]] = {
    "kvitt order release or withdraw": "releasing it, or taking it back",
    "kvitt order decide or resend": "settling it by hand, or sending it once more",
    "the rail's receipt, or kvitt order decide": "the rail's receipt, or settling it by hand",
    "kvitt order adopt or keep": "adopting the rail's word, or keeping what stands",
    "kvitt order cancel": "the rail's answer, or having the request put once more",
    "kvitt dead replay or close": "replaying or closing it",
    "kvitt receipt close": "closing it, once it is dealt with",
    "kvitt sending resume": "letting sending go on",
    "kvitt approve yes or no": "another person's yes or no",
    "kvitt reconcile due": "reporting what is left",
    "kvitt reconcile resolve": "saying whether the queue got the messages",
}


def ends(ends_by: str) -> str:
    """Whatever ends what needs a person, as pages say it; views say it by the command that does it."""
    return _ENDS.get(ends_by, ends_by)
