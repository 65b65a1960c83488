"""Who did what, when and why: the operators' chain, what callers asked for over the APIs, and the chains of cases, as one list of acts.

Reads only. An act is shown whole by its name: `operators:12`, `case:DAGPENGER:S-1:3`, `payout:p-1:2`, `plan:p:HOLD:1`, `account:7`.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

from msgspec import DecodeError, Struct, json
from msgspec.structs import replace

from kvitt.disbursement.caller import NotedCall
from kvitt.disbursement.values import Scheme
from kvitt.errors import ActNotFound, CaseNotFound, OrderNotFound
from kvitt.kernel.actor import Actor, decode
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value, fetch_values
from kvitt.kernel.queries import load

_SQL = load("acts", "kvitt.disbursement")
_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)
_BIGGEST: Final = 2**63 - 1


class AuditedAct(Struct, frozen=True):
    """One thing that was done. `by`, `approved_by` and `reason` are a person's words, the last three where a call came from."""

    entry: str
    at: datetime
    act: str
    subject: str
    by: str | None = None
    approved_by: str | None = None
    reason: str | None = None
    channel: str | None = None
    address: str | None = None
    trace: str | None = None
    digest: str | None = None
    hash: str | None = None


class Wanted(Struct, frozen=True):
    """Which acts: about one case, order, payout or plan (at most one), by people whose name holds `person`, in a span of time."""

    case: tuple[Scheme, str] | None = None
    order_id: str | None = None
    payout_id: str | None = None
    plan_id: str | None = None
    person: str | None = None
    since: datetime = _BEGINNING
    until: datetime = _END


class _OfOperator(Struct, frozen=True):
    by: str
    approved_by: str | None
    reason: str
    subject: str


class _OperatorsEntry(NamedTuple):
    seq: int
    at: datetime
    what: str
    note: str
    digest: bytes | None
    hash: bytes | None

    def act(self) -> AuditedAct:
        noted = json.decode(self.note, type=_OfOperator)
        return AuditedAct(
            entry=f"operators:{self.seq}",
            at=self.at,
            act=self.what,
            subject=noted.subject,
            by=noted.by,
            approved_by=noted.approved_by,
            reason=noted.reason,
            digest=_hex(self.digest),
            hash=_hex(self.hash),
        )


class _NumberedCase(NamedTuple):
    case_no: int
    scheme: str
    case_id: str


class _CaseEntry(NamedTuple):
    seq: int
    at: datetime
    what: str
    message_no: int | None
    order_id: str | None
    receipt_no: int | None
    note: str | None
    digest: bytes | None
    hash: bytes | None

    def act(self, case: _NumberedCase) -> AuditedAct:
        about = (("message", self.message_no), ("order", self.order_id), ("receipt", self.receipt_no))
        subject = ", ".join(f"{name} {value}" for name, value in about if value is not None)
        entry = f"case:{case.scheme}:{case.case_id}:{self.seq}"
        call = self._call
        act = AuditedAct(entry, self.at, self.what, subject, digest=_hex(self.digest), hash=_hex(self.hash))
        return replace(act, by=call.by, reason=call.refused, subject=f"{subject}: {call.operation} by {call.application}") if call else act

    @property
    def _call(self) -> NotedCall | None:
        """Who called, where the entry is about a call."""
        try:
            return json.decode(self.note, type=NotedCall) if self.note else None
        except DecodeError:
            return None


class _PayoutPlanChange(NamedTuple):
    payout_id: str
    sequence: int
    at: datetime
    status: str
    actor: str | None
    cancel_details: str | None
    hash: bytes | None

    def act(self) -> AuditedAct:
        entry, act = f"payout:{self.payout_id}:{self.sequence}", "payout created" if self.sequence == 0 else f"payout {self.status}"
        reason = self.cancel_details if self.status == "cancelled" else None
        return AuditedAct(entry, self.at, act, self.payout_id, reason=reason, hash=_hex(self.hash), **_asked_by(decode(self.actor)))


class _PlanChange(NamedTuple):
    plan_id: str
    operation: str
    batch_id: int
    at: datetime
    actor: str | None

    def act(self) -> AuditedAct:
        entry = f"plan:{self.plan_id}:{self.operation}:{self.batch_id}"
        return AuditedAct(entry, self.at, f"plan {self.operation.lower()}", self.plan_id, **_asked_by(decode(self.actor)))


class _MadeAccount(NamedTuple):
    account_id: int
    created_at: datetime
    made_by: str | None

    def act(self) -> AuditedAct:
        name = f"account:{self.account_id}"
        return AuditedAct(name, self.created_at, "account made", f"account {self.account_id}", **_asked_by(decode(self.made_by)))


_Entry = TypeVar("_Entry", _OperatorsEntry, _CaseEntry, _PayoutPlanChange, _PlanChange, _MadeAccount)


class Acts:
    """Looks acts up, on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def listed(self, wanted: Wanted, limit: int) -> list[AuditedAct]:
        """Acts, newest first, at most so many. Raises CaseNotFound, OrderNotFound."""
        found = [act for source in self._sources(wanted) for act in source(wanted, limit)]
        return sorted(found, key=lambda act: act.at, reverse=True)[:limit]

    def show(self, entry: str) -> AuditedAct:
        """One act by its name, with the digest of its content and its hash. Raises ActNotFound."""
        kind, _, rest = entry.partition(":")
        find: Callable[[str], AuditedAct | None] | None = {
            "operators": self._operators_act,
            "case": self._case_entry,
            "payout": self._payout_change,
            "plan": self._plan_step,
            "account": self._account,
        }.get(kind)
        act = find(rest) if find else None
        if act is None:
            raise ActNotFound(f"no act has the name {entry}")
        return act

    def _sources(self, wanted: Wanted) -> Sequence[Callable[[Wanted, int], Iterator[AuditedAct]]]:
        if wanted.case or wanted.order_id:
            # What kvitt noted of a case by itself was done by nobody.
            return (self._of_operators,) if wanted.person else (self._of_operators, self._of_case)
        if wanted.plan_id:
            return self._of_operators, self._of_plans
        if wanted.payout_id:
            return self._of_operators, self._of_payouts
        return self._of_operators, self._of_payouts, self._of_plans, self._of_accounts

    def _asked(self, wanted: Wanted, limit: int, **more: object) -> dict[str, object]:
        name = wanted.person.lower() if wanted.person else None
        return {"since": wanted.since, "until": wanted.until, "name": name, "limit": limit, **more}

    def _of_operators(self, wanted: Wanted, limit: int) -> Iterator[AuditedAct]:
        asked = self._asked(wanted, limit, subjects=self._subjects(wanted), acts=_acts(wanted))
        return (row.act() for row in fetch(self._connection, _OperatorsEntry, _SQL.acts_of_operators, asked))

    def _subjects(self, wanted: Wanted) -> list[str] | None:
        """Returns what acts about it name: an order, a payout, a plan, or any order of a case."""
        if wanted.case:
            return fetch_values(self._connection, _SQL.orders_of_case, {"case_no": self._case_no(*wanted.case)})
        one = wanted.order_id or wanted.payout_id or wanted.plan_id
        return None if one is None else [one]

    def _of_case(self, wanted: Wanted, limit: int) -> Iterator[AuditedAct]:
        case = self._case_of(wanted)
        asked = self._asked(wanted, limit, case_no=case.case_no, order_id=wanted.order_id)
        return (row.act(case) for row in fetch(self._connection, _CaseEntry, _SQL.entries_of_case, asked))

    def _case_of(self, wanted: Wanted) -> "_NumberedCase":
        if wanted.case:
            scheme, case_id = wanted.case
            return _NumberedCase(self._case_no(scheme, case_id), scheme.value, case_id)
        found = fetch_one(self._connection, _NumberedCase, _SQL.case_of_order, {"order_id": wanted.order_id})
        if found is None:
            raise OrderNotFound(wanted.order_id or "")
        return found

    def _case_no(self, scheme: Scheme, case_id: str) -> int:
        number: int | None = fetch_value(self._connection, _SQL.case_number, {"scheme": scheme.value, "case_id": case_id})
        if number is None:
            raise CaseNotFound(scheme.value, case_id)
        return number

    def _of_payouts(self, wanted: Wanted, limit: int) -> Iterator[AuditedAct]:
        asked = self._asked(wanted, limit, payout_id=wanted.payout_id)
        return (row.act() for row in fetch(self._connection, _PayoutPlanChange, _SQL.changes_of_payouts, asked))

    def _of_plans(self, wanted: Wanted, limit: int) -> Iterator[AuditedAct]:
        asked = self._asked(wanted, limit, plan_id=wanted.plan_id)
        return (row.act() for row in fetch(self._connection, _PlanChange, _SQL.steps_of_plans, asked))

    def _of_accounts(self, wanted: Wanted, limit: int) -> Iterator[AuditedAct]:
        return (row.act() for row in fetch(self._connection, _MadeAccount, _SQL.made_accounts, self._asked(wanted, limit)))

    def _operators_act(self, seq: str) -> AuditedAct | None:
        row = self._row(_OperatorsEntry, _SQL.act_of_operator, seq=seq)
        return row.act() if row else None

    def _case_entry(self, rest: str) -> AuditedAct | None:
        scheme, _, named = rest.partition(":")
        case_id, _, seq = named.rpartition(":")
        number = fetch_value(self._connection, _SQL.case_number, {"scheme": scheme, "case_id": case_id})
        row = self._row(_CaseEntry, _SQL.entry_of_case, case_no=number, seq=seq) if number is not None else None
        return row.act(_NumberedCase(number, scheme, case_id)) if row else None

    def _payout_change(self, rest: str) -> AuditedAct | None:
        payout_id, _, sequence = rest.rpartition(":")
        row = self._row(_PayoutPlanChange, _SQL.change_of_payout, payout_id=payout_id, sequence=sequence)
        return row.act() if row else None

    def _plan_step(self, rest: str) -> AuditedAct | None:
        plan_id, _, step = rest.rpartition(":")
        plan_id, _, operation = plan_id.rpartition(":")
        row = self._row(_PlanChange, _SQL.step_of_plan, plan_id=plan_id, operation=operation, batch_id=step)
        return row.act() if row else None

    def _account(self, account_id: str) -> AuditedAct | None:
        row = self._row(_MadeAccount, _SQL.made_account, account_id=account_id)
        return row.act() if row else None

    def _row(self, kind: type[_Entry], statement: str, **named: object) -> _Entry | None:
        """The row of an entry; None where the last part of the name is no number that one can have."""
        last = next(reversed(named))
        number = str(named[last])
        if not (number.isascii() and number.isdigit() and int(number[:20]) <= _BIGGEST):
            return None
        return fetch_one(self._connection, kind, statement, named | {last: int(number)})


def _acts(wanted: Wanted) -> str | None:
    """How acts about it are called: a payout and a plan may have the same name."""
    return "payout " if wanted.payout_id else "ledger " if wanted.plan_id else None


def _asked_by(actor: Actor | None) -> dict[str, str | None]:
    if actor is None:
        return {}
    return {"by": actor.name, "channel": actor.channel, "address": actor.address, "trace": actor.trace}


def _hex(content: bytes | None) -> str | None:
    return None if content is None else bytes(content).hex()
