"""A transfer between two accounts by two people: held, committed and audited in one transaction (design §9, §11)."""

from msgspec import Struct

from kvitt.hub.actor import CLI, Actor
from kvitt.hub.ledger.calls import Call, Done, State
from kvitt.hub.ledger.post import post
from kvitt.hub.operate import Operator, note, second_person
from kvitt.hub.submit import Clock, Connection
from kvitt.rules.ledger import Batch, Operation, Posting, malformed


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

    The same transfer again moves nothing. Raises NotInThatState in the ledger's words when it refuses, NeedsSecondPerson.
    """
    if operator is not None:
        second_person(operator)
    with connection.transaction(force_rollback=operator is None), connection.cursor() as cursor:
        hold, commit = wanted.calls(None if operator is None else Actor(CLI, operator.name))
        if refusal := malformed(hold.plan_id, hold.operation, hold.batches):
            raise _refused(refusal)
        now, there = clock(), _states(connection, wanted)
        for call in (commit,) if _is_known(connection, wanted.plan_id) else (hold, commit):
            answer = post(cursor, [(0, call)], now)[0]
            if not isinstance(answer, Done):
                raise _refused(answer)
        after = _states(connection, wanted)
        if operator is not None and after != there:
            note(cursor, now, "ledger transfer", operator, wanted.plan_id)
        return Transferred(there, after, after != there)


def _is_known(connection: Connection, plan_id: str) -> bool:
    """Whether the plan was held before; then what is left is its end, which is answered as the first time."""
    try:
        Ledger(connection).plan(plan_id)
    except PlanNotFound:
        return False
    return True


def _states(connection: Connection, wanted: Transfer) -> tuple[State, ...]:
    found = Ledger(connection).states({wanted.source, wanted.target})
    return tuple(found[account_id] for account_id in (wanted.source, wanted.target) if account_id in found)


def _refused(answer: Refusal | Insolvent) -> TransferRefused:
    if isinstance(answer, InvalidPostings):
        return TransferRefused("; ".join(text for _, text in answer.wrong))
    return TransferRefused(answer.error if isinstance(answer, InvalidRequest) else "an account would not stay solvent")
