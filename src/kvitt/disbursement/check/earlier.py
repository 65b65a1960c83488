"""Compares what was published before each order had a key of its own, and how far it may differ from what a replay publishes: in form only.

Records of the outbox below `publishing.since` are early, and so is a message that one of them is about. An order of then is published under
its sender's key to its end; a receipt named the payments only that it made true, the case list was published only when it had changed,
headers of senders passed for the hub's, and an answer over several areas did not say which of them are paid.
"""

from msgspec.structs import replace

from kvitt.disbursement.contract import Contract, Contracts
from kvitt.kernel.outbox import OutboxRow


def as_published_then(contracts: Contracts, given: OutboxRow, stored: OutboxRow, *, early: bool) -> OutboxRow:
    """Returns what a replay says of an early message, in the form that the stored record has, where that may be another one."""
    if early:
        given = replace(given, key=stored.key, headers=stored.headers)
    contract = contracts.answering_on(given.topic)
    if contract and says_the_same(contract, given.value, stored.value):
        given = replace(given, value=stored.value)
    return given


def says_the_same(contract: Contract, given: bytes | None, stored: bytes | None) -> bool:
    """Whether two answers differ in their words at most, and in what they say of each area."""
    if given == stored or not given or not stored:
        return given == stored
    return contract.same_answer(given, stored)
