"""A transfer between two accounts by two people: held, committed and audited in one transaction (design §9, §11)."""

from msgspec import Struct

from kvitt.errors import PlanNotFound, PlanRefused
from kvitt.hub.actor import CLI, Actor
from kvitt.hub.ledger.calls import Call, Done, Insolvent, State
from kvitt.hub.ledger.post import post, reserved
from kvitt.hub.ledger.read import Ledger
from kvitt.hub.operate import Operator, note
from kvitt.hub.submit import Clock, Connection
from kvitt.rules.ledger import Batch, InvalidPostings, InvalidRequest, Operation, PlanState, Posting, Refusal, malformed, unfit


class Transfer(Struct, frozen=True):
    """`amount` in whole minor units from `source` to `target`. The plan of this name holds it; under the same name it is done once."""

    plan_id: str
    source: int
    target: int
    amount: int
    currency: str
    description: str

    def calls(self, actor: Actor | None) -> tuple[Call, Call]:
        """The hold of its one posting, and the commit."""
        batches = (Batch(1, (Posting(self.source, self.target, self.amount, self.currency, self.description),)),)
        return Call(self.plan_id, Operation.HOLD, batches, actor=actor), Call(self.plan_id, Operation.COMMIT, batches, actor=actor)


class Transferred(Struct, frozen=True):
    """What both accounts had before and have after it, by id. `changed`: it was not done before under this name."""

    before: tuple[State, ...]
    after: tuple[State, ...]
    changed: bool


def transfer(connection: Connection, clock: Clock, wanted: Transfer, operator: Operator | None) -> Transferred:
    """Moves the money. `operator` None: a dry run, which does the same and then takes it back.

    The same transfer again moves nothing. Raises PlanRefused in the ledger's words when it refuses, NeedsSecondPerson.
    """
    if operator is not None:
        operator.need_second_person()
    with connection.transaction(force_rollback=operator is None), connection.cursor() as cursor:
        hold, commit = wanted.calls(None if operator is None else Actor(CLI, operator.name))
        if wanted.amount < 1:
            raise PlanRefused("The amount must be positive")
        if refusal := malformed(hold.plan_id, hold.operation, hold.batches):
            raise _refused(refusal)
        if kept := reserved(cursor, [(0, hold)]):
            raise _refused(kept[0])
        there, stood = _states(connection, wanted), _state_of(connection, wanted.plan_id)
        if stood is None and (refusal := unfit(hold.plan_id, hold.batches[0])):
            raise _refused(refusal)
        for call in (hold, commit) if stood is None else (commit,):
            answer = post(cursor, [(0, call)], clock)[0]
            if not isinstance(answer, Done):
                raise _refused(answer)
        after = _states(connection, wanted)
        changed = stood is not PlanState.COMMITTED
        if operator is not None and changed:
            note(cursor, clock(), "ledger transfer", operator, wanted.plan_id)
        return Transferred(there, after, changed)


def _state_of(connection: Connection, plan_id: str) -> PlanState | None:
    """How the plan stands, if it was held before: then what is left is its end, which is answered as the first time."""
    try:
        return Ledger(connection).plan(plan_id).state
    except PlanNotFound:
        return None


def _states(connection: Connection, wanted: Transfer) -> tuple[State, ...]:
    found = Ledger(connection).states({wanted.source, wanted.target})
    return tuple(found[account_id] for account_id in (wanted.source, wanted.target) if account_id in found)


def _refused(answer: Refusal | Insolvent) -> PlanRefused:
    if isinstance(answer, InvalidPostings):
        return PlanRefused("; ".join(text for _, text in answer.wrong))
    return PlanRefused(answer.error if isinstance(answer, InvalidRequest) else "an account would not stay solvent")
