"""Approvals: an act is asked for by one person, shown with its effect, and done when another one confirms it (design §11).

Confirming does the act in the transaction in which the approval is confirmed. What it would do is worked out anew before: where it is not
what was shown, nothing is done until it has been looked at, and confirmed, once more.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import psycopg
from msgspec import Struct, json

from kvitt.errors import ApprovalLapsed, ApprovalNotFound, EffectChanged, KvittError, NeedsSecondPerson, NotInThatState, ResultUnknown
from kvitt.kernel.audit import digest
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_value, fetch_values
from kvitt.kernel.operators import Operator, PersonAtIssuer, Signature, is_one_person, known_at, name_of, note, reason_of
from kvitt.kernel.queries import load

_SQL: Final = load("approvals", "kvitt.kernel")
LAPSES_AFTER: Final = timedelta(hours=24)
_SHOWN_DIGITS: Final = 8
_BY_ITSELF: Final = "kvitt"
LOOKING: Final = Operator("kvitt", "to show what it would do", "somebody else")
"""In whose name an act is done that is looked at and taken back at once."""
Arguments = TypeVar("Arguments", bound=Struct)


class ApprovalState(StrEnum):
    """How an approval stands; all but the first are final. `failed`: it was confirmed, and could not be done any more."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    LAPSED = "lapsed"
    FAILED = "failed"


class ShownEffect(Struct, frozen=True):
    """The effect of an act, as people read it, and the digest of what that was worked out from.

    The text may say more than matters (balances that move all the time); only another `basis` makes it another effect.
    """

    text: str
    basis: bytes

    @classmethod
    def of(cls, text: str, *contents: object) -> "ShownEffect":
        """An effect worked out from `contents`; from its text alone where none are given."""
        return cls(text, digest(*(str(each).encode() for each in contents or (text,))))

    def was_seen_as(self, code: str) -> bool:
        """Whether this is the effect that somebody saw under a code, or under the beginning of one."""
        return len(code) >= _SHOWN_DIGITS and self.basis.hex().startswith(code)


class ApprovableAct(Struct, Generic[Arguments], frozen=True):
    """An act that can be asked for: `preview` shows what it would do and changes nothing, `run` does it and returns what came of it.

    Both work on a connection that is in a transaction, and raise KvittError where it can not be done as things stand.
    """

    name: str
    arguments: type[Arguments]
    subject: Callable[[Arguments], str]
    preview: Callable[[Connection, Arguments], ShownEffect]
    run: Callable[[Connection, Arguments, Operator], str]


class Approval(Struct, frozen=True):
    """An act that was asked for, as it stands. `effect` is what it was shown to do, the last time that this changed at `changed_at`.

    `first_effect` is what it was shown to do before. Who was on a command line has no issuer.
    """

    approval_no: int
    act: str
    arguments: str
    subject: str
    asked_by: str
    reason: str
    effect: str
    basis: bytes
    asked_at: datetime
    lapses_at: datetime
    state: str
    changed_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    decided_because: str | None
    outcome: str | None
    asked_issuer: str | None
    asked_name: str | None
    decided_issuer: str | None
    decided_name: str | None
    first_effect: str | None

    def is_of(self, name: str, known: PersonAtIssuer | None = None) -> bool:
        """Whether this person has asked for it."""
        return is_one_person((self.asked_by, known_at(self.asked_issuer, self.asked_name)), (name, known))

    @property
    def seen(self) -> str:
        """A short name of the effect that was shown."""
        return self.basis.hex()[:_SHOWN_DIGITS]


class Approvals:
    """The approvals, on one connection. Not for sharing between threads."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        acts: Sequence[ApprovableAct[Any]] = (),
        *,
        alone: Collection[str] = (),
        lapses_after: timedelta = LAPSES_AFTER,
    ) -> None:
        """`alone` names the acts that one person may do."""
        self._connection, self._clock, self._lapses_after = connection, clock, lapses_after
        self._acts, self._alone = {act.name: act for act in acts}, alone

    def ask(
        self, act: str, arguments: Struct, operator: Operator, known: PersonAtIssuer | None = None, *, seen: str | None = None
    ) -> Approval:
        """Keeps an act with what it would do, for somebody else to confirm.

        Raises what its preview raises, and EffectChanged where it would do something else than what was `seen`.
        """
        asked = self._acts[act]
        assert isinstance(arguments, asked.arguments), "an act is asked for with its own arguments"
        with transaction(self._connection, "approval"), self._connection.cursor() as cursor:
            effect, now, subject = asked.preview(self._connection, arguments), self._clock(), asked.subject(arguments)
            if seen is not None and not effect.was_seen_as(seen):
                raise EffectChanged("this would do something else than what was shown: look at it, and ask anew")
            row = {
                "act": act,
                "arguments": json.encode(arguments).decode(),
                "subject": subject,
                "asked_by": operator.name,
                **_said_of(known),
                "reason": operator.reason,
                "effect": effect.text,
                "basis": effect.basis,
                "now": now,
                "lapses_at": now + self._lapses_after,
            }
            number = fetch_value(cursor, _SQL.ask, row)
            note(cursor, now, "approval asked", Signature(operator.name, operator.reason, None, number), f"{act} {subject}")
        return self.find(number)

    def listed(self, states: Sequence[ApprovalState] | None = (ApprovalState.ASKED,), limit: int = 100) -> list[Approval]:
        """Approvals in these states (None = any), newest first."""
        arguments = {"states": None if states is None else [state.value for state in states], "limit": limit}
        return self._rows(_SQL.approvals, arguments)

    def find(self, approval_no: int) -> Approval:
        """One approval. Raises ApprovalNotFound."""
        found = self._rows(_SQL.approval, {"approval_no": approval_no})
        if not found:
            raise ApprovalNotFound(f"there is no approval {approval_no}")
        return found[0]

    def effect_of(self, act: str, arguments: Struct) -> ShownEffect:
        """Returns what an act would do; changes nothing. Raises what its preview raises."""
        with self._connection.transaction(force_rollback=True):
            return self._acts[act].preview(self._connection, arguments)

    def effect_now(self, approval: Approval) -> ShownEffect:
        """Returns what an act that was asked for would do as things stand now; changes nothing. Raises what its preview raises."""
        act = self._act_of(approval)
        return self.effect_of(act.name, json.decode(approval.arguments, type=act.arguments))

    def is_alone(self, act: str) -> bool:
        """Whether one person may do an act."""
        return act in self._alone

    def do(self, act: str, arguments: Struct, operator: Operator, *, seen: str) -> str:
        """Does an act by one person's word, if it still does what this person saw; returns what came of it.

        Raises NeedsSecondPerson, EffectChanged, and what the act raises.
        """
        need_second_person(act, operator, self._alone)
        done = self._acts[act]
        with transaction(self._connection, act, done.subject(arguments)):
            if not done.preview(self._connection, arguments).was_seen_as(seen):
                raise EffectChanged("this would do something else than what was shown: look at it once more")
            return done.run(self._connection, arguments, operator)

    def confirm(self, approval_no: int, by: str, known: PersonAtIssuer | None = None, *, seen: str | None = None) -> Approval:
        """Does what was asked for, by the word of another person than the one who asked; `seen` is the effect that this person saw.

        Where it can not be done any more, that is its end: the approval is `failed`, with the reason. Raises BadOperator,
        ApprovalNotFound, NeedsSecondPerson, NotInThatState when it is decided already, ApprovalLapsed, EffectChanged when it would do
        something else by now (that is shown from then on, to be confirmed anew), and psycopg errors and ResultUnknown as all acts.
        """
        with transaction(self._connection, "approval", str(approval_no)), self._connection.cursor() as cursor:
            approval = self._lock(cursor, approval_no)
            operator = Operator(approval.asked_by, approval.reason, name_of("by", by), approval_no)
            if approval.is_of(operator.approved_by or "", known):
                raise NeedsSecondPerson(f"you have asked for approval {approval_no} yourself: another person confirms it")
            operator.need_second_person()
            if self._lapse(cursor, approval):
                refusal: KvittError = ApprovalLapsed(f"approval {approval_no} has lapsed: it has to be asked for anew")
            elif changed := self._confirmed(cursor, approval, operator, known, seen):
                refusal = changed
            else:
                return self.find(approval_no)
        raise refusal

    def refuse(self, approval_no: int, by: str, reason: str, known: PersonAtIssuer | None = None) -> Approval:
        """Says no to what was asked for; nothing is done. Raises BadOperator, ApprovalNotFound, NotInThatState."""
        who = Signature(name_of("by", by), reason_of("reason", reason), None, approval_no)
        with transaction(self._connection, "approval", str(approval_no)), self._connection.cursor() as cursor:
            approval = self._lock(cursor, approval_no)
            self._end(cursor, approval, ApprovalState.REFUSED, who, known)
        return self.find(approval_no)

    def lapse(self) -> int:
        """Ends the approvals that nobody decided about in time; returns how many."""
        with transaction(self._connection, "approvals"), self._connection.cursor() as cursor:
            numbers = fetch_values(cursor, _SQL.lapsed, {"now": self._clock()})
            return sum(self._lapse(cursor, self.find(number)) for number in numbers)

    def _rows(self, statement: str, arguments: Mapping[str, object]) -> list[Approval]:
        return fetch(self._connection, Approval, statement, arguments)

    def _act_of(self, approval: Approval) -> ApprovableAct[Any]:
        if approval.act not in self._acts:
            raise NotInThatState(f"approval {approval.approval_no} is for {approval.act}, which this kvitt does not know")
        return self._acts[approval.act]

    def _lock(self, cursor: psycopg.Cursor[Any], approval_no: int) -> Approval:
        """The approval, open and locked."""
        cursor.execute(_SQL.lock_approval, {"approval_no": approval_no})
        approval = self.find(approval_no)
        if approval.state != ApprovalState.ASKED:
            because = approval.decided_because or approval.outcome
            raise NotInThatState(f"approval {approval_no} is {approval.state} by {approval.decided_by}{f': {because}' if because else ''}")
        return approval

    def _lapse(self, cursor: psycopg.Cursor[Any], approval: Approval) -> bool:
        if self._clock() < approval.lapses_at:
            return False
        self._end(cursor, approval, ApprovalState.LAPSED, Signature(_BY_ITSELF, "nobody decided in time", None, approval.approval_no))
        return True

    def _confirmed(
        self, cursor: psycopg.Cursor[Any], approval: Approval, operator: Operator, known: PersonAtIssuer | None, seen: str | None
    ) -> EffectChanged | None:
        """Does the act and ends the approval, unless it would do something else than what was shown."""
        before = fetch_value(cursor, _SQL.end_of_operators)
        try:
            with self._connection.transaction():
                act = self._act_of(approval)
                arguments = json.decode(approval.arguments, type=act.arguments)
                if changed := self._changed(cursor, approval, act.preview(self._connection, arguments), seen):
                    return changed
                outcome = act.run(self._connection, arguments, operator)
        except ResultUnknown:
            raise
        except KvittError as error:
            self._end(cursor, approval, ApprovalState.FAILED, operator, known, outcome=str(error))
            return None
        done = {"after": before, "approval_no": approval.approval_no}
        entries = fetch_value(cursor, _SQL.entries_of_approval, done)
        self._end(cursor, approval, ApprovalState.CONFIRMED, operator, known, outcome=outcome, entries=entries)
        return None

    def _changed(self, cursor: psycopg.Cursor[Any], approval: Approval, now: ShownEffect, seen: str | None) -> EffectChanged | None:
        """Keeps what would be done now where that is not what was shown; returns why it is not done, unless just that was seen."""
        if now.basis != approval.basis:
            renewed = {"approval_no": approval.approval_no, "effect": now.text, "basis": now.basis, "now": self._clock()}
            cursor.execute(_SQL.change_effect, renewed)
        if now.basis == approval.basis if seen is None else now.was_seen_as(seen):
            return None
        return EffectChanged(f"approval {approval.approval_no} would do something else than what was shown: look at it, and confirm anew")

    def _end(
        self,
        cursor: psycopg.Cursor[Any],
        approval: Approval,
        state: ApprovalState,
        who: Signature,
        known: PersonAtIssuer | None = None,
        *,
        outcome: str | None = None,
        entries: int | None = None,
    ) -> None:
        now = self._clock()
        row = {
            "approval_no": approval.approval_no,
            "state": state.value,
            "now": now,
            "by": who.approved_by or who.name,
            **_said_of(known),
            "reason": who.reason if state is ApprovalState.REFUSED else None,
            "outcome": outcome,
            "entries": entries,
        }
        cursor.execute(_SQL.decide_approval, row)
        note(cursor, now, f"approval {state.value}", who, f"{approval.act} {approval.subject}")


def need_second_person(act: str, operator: Operator, alone: Collection[str]) -> None:
    """Raises NeedsSecondPerson unless an act is among those that one person may do `alone`, or another one has approved it."""
    if operator.approved_by is not None or act not in alone:
        operator.need_second_person(f"{act} takes two people")


def _said_of(known: PersonAtIssuer | None) -> dict[str, str | None]:
    return {"issuer": known.issuer if known else None, "called": known.called if known else None}
