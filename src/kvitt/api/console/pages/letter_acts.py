"""The replay of a dead letter, as it came or mended; what it would lead to comes first (design §4, §17)."""

from typing import Final, NamedTuple

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.pages.dead_letters import DeadLetterText, letter_on_page, place_of_fault, text_of, version
from kvitt.api.console.showing import visible
from kvitt.api.people.claims import ConsoleRole
from kvitt.disbursement.letter_acts import LetterNamed, LetterReplayed
from kvitt.errors import BadRequest, NotReplayable


class OriginalLetter(NamedTuple):
    """A letter as it came; one that `lacks_key` has none that its sender could be answered under."""

    body: str
    lacks_key: bool


_LONGEST: Final = 20_000
"""As much as a form has room for, whatever the characters."""


def read_replay(visit: Visit) -> Values:
    """The effect of a replay as the sender wrote it. Raises DeadLetterNotFound."""
    return _about(visit, offered(visit, _unchanged(visit)))


def replay(visit: Visit) -> Values | Redirect:
    """Replays it, or asks for that. Raises DeadLetterNotFound."""
    answered = taken(visit, _unchanged(visit))
    return answered if isinstance(answered, Redirect) else _about(visit, answered)


def read_mend(visit: Visit) -> Values:
    """The bytes to be mended, persons among them. Raises DeadLetterNotFound, NotPermitted."""
    return _mending(visit, _original(visit), {})


def mend(visit: Visit) -> Values | Redirect:
    """Shows what the mended letter would lead to, or asks for its replay. Raises DeadLetterNotFound, NotPermitted, BadRequest."""
    original, asked = _original(visit), visit.form.get("body", "").replace("\r\n", "\n")
    body = None if asked == original.body.replace("\r\n", "\n") else asked.encode()
    key = visit.form.get("key", "").encode() if original.lacks_key else b""
    if not asked or not (body or key):
        raise BadRequest(("body", "is not mended: replay the letter as it is"))
    number = visit.path["dead_no"]
    act = ActOnPage("dead replay", LetterReplayed(number, body, key or None), f"/dead-letters/{number}")
    answered = taken(visit, act) if visit.form.get("step") == "ask" else offered(visit, act)
    return answered if isinstance(answered, Redirect) else _mending(visit, original, answered)


def _mending(visit: Visit, original: OriginalLetter, answered: Values) -> Values:
    shown = answered or {"effect": None, "why_not": None, "refusal": None, "given": ""}
    typed = {"body": visit.form.get("body", original.body), "key": visit.form.get("key", "")}
    place = place_of_fault(original.body.encode())
    return {**_about(visit, shown), **typed, "place": place, "lacks_key": original.lacks_key}


def _unchanged(visit: Visit) -> ActOnPage:
    number = visit.path["dead_no"]
    return ActOnPage("dead replay unchanged", LetterNamed(number), f"/dead-letters/{number}")


def _about(visit: Visit, answered: Values) -> Values:
    letter = letter_on_page(visit)
    visit.look(f"dead letter {letter.dead_no}, to replay it")
    return {**answered, "letter": letter}


def _original(visit: Visit) -> OriginalLetter:
    """The letter as it came, for who may see persons. Raises NotReplayable for a body that a form would not bring back as it is."""
    visit.need(ConsoleRole.PERSONS)
    letter_on_page(visit)
    visit.look(f"dead letter {visit.path['dead_no']}, with the persons in it")
    text: DeadLetterText | None = text_of(visit)
    body = _text(text.body if text else None)
    if not body or len(body) > _LONGEST or visible(body.replace("\r\n", "\n")) != body.replace("\r\n", "\n"):
        raise NotReplayable("a form can not hold these bytes as they are: mend them with kvitt dead replay --body")
    return OriginalLetter(body, not _text(text.key if text else None))


def _text(content: bytes | None) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError:
        return ""


_ROLE, _LIVE = ConsoleRole.ACT, "messages"
PAGES: Final = (
    ConsolePage(
        "/dead-letters/{dead_no:int}/replay",
        "Dead letter",
        "letter_replay.html",
        read_replay,
        role=_ROLE,
        acts=True,
        live=_LIVE,
        version=version,
    ),
    ConsolePage("/dead-letters/{dead_no:int}/replay", "Dead letter", "letter_replay.html", replay, role=_ROLE, posted=True, acts=True),
    ConsolePage(
        "/dead-letters/{dead_no:int}/mend", "Dead letter", "letter_mend.html", read_mend, role=_ROLE, acts=True, live=_LIVE, version=version
    ),
    ConsolePage("/dead-letters/{dead_no:int}/mend", "Dead letter", "letter_mend.html", mend, role=_ROLE, posted=True, acts=True),
)
