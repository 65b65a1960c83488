"""Compares what was published about the messages of a case with what its replay publishes: each thing exactly once (design §4, §6)."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from kvitt.disbursement.check.earlier import as_published_then
from kvitt.disbursement.check.made import unequal
from kvitt.disbursement.check.replay import Replay
from kvitt.disbursement.check.report import Findings, Kind
from kvitt.disbursement.check.stored import StoredPublished
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.events import WithRail
from kvitt.kernel.outbox import OutboxRow


def compare_published(replay: Replay) -> None:
    """Notes what is missing, what was published too much and what otherwise."""
    listing = {contract.lists_on for contract in replay.contracts}
    lists = [each for each in replay.stored.published if each.row.topic in listing]
    others = [each for each in replay.stored.published if each.row.topic not in listing]
    _compare_lists(replay, lists)
    made = [*replay.published, *_with_rail(replay)]
    distrusted = frozenset(number for number, replayed in replay.message_replays.items() if not replayed.trusted)
    match_published(
        replay.contracts,
        replay.found,
        replay.stored.case_no,
        _of_others(made, distrusted),
        [each for each in others if each.row.message_no not in distrusted],
    )


def _of_others(rows: Iterable[OutboxRow], distrusted: frozenset[int]) -> list[OutboxRow]:
    """Messages whose handling could not be repeated are reported as such; what was published about them can not be compared."""
    return [row for row in rows if row.message_no not in distrusted]


def match_published(
    contracts: Contracts, found: Findings, case_no: int | None, made: Sequence[OutboxRow], stored: Sequence[StoredPublished]
) -> None:
    """Matches by event id; doubles are looked for over the whole outbox. The time is not compared."""
    by_event = {row.event_id: row for row in made}
    early = {each.row.message_no for each in stored if each.early}
    for each in stored:
        given = by_event.pop(each.row.event_id, None)
        if given is not None and each.row.message_no in early:
            given = as_published_then(contracts, given, each.row, early=each.early)
        if given is None:
            found.differs(
                Kind.PUBLISHED, case_no, each.outbox_no, f"is published on {each.row.topic}, and nothing makes it, or it is there again"
            )
        elif given != each.row and (names := unequal(replace(given, made_at=each.row.made_at), each.row)):
            found.differs(Kind.PUBLISHED, case_no, each.outbox_no, f"is published on {each.row.topic} with another {names}")
    for row in by_event.values():
        found.differs(Kind.PUBLISHED, case_no, row.message_no, f"has not published {row.event_id} on {row.topic}")


def _with_rail(replay: Replay) -> list[OutboxRow]:
    """That all orders of a message are with the rail, of those messages where it is so; it is published when the last of them was sent."""
    published: list[OutboxRow] = []
    for replayed in replay.message_replays.values():
        orders = [replay.stored.orders.get(order_id) for order_id in replayed.order_ids]
        sent = [order.sent_at for order in orders if order and order.sent_at]
        if orders and replayed.trusted and len(sent) == len(orders):
            records, answer = replay.made_of(replayed, WithRail(), max(sent))
            published.extend(records)
            if answer and not any(replay.orders[order_id].settled_by for order_id in replayed.order_ids):
                replayed.answer = answer
    return published


def _compare_lists(replay: Replay, stored: Sequence[StoredPublished]) -> None:
    """The case list after each accepted message, and after moves (0); orders of one message that were accepted at once share one record."""
    by_message: dict[int, list[StoredPublished]] = {}
    for each in stored:
        by_message.setdefault(each.row.message_no or 0, []).append(each)
    for number in by_message.keys() | replay.lists.keys():
        published, made = by_message.get(number, []), replay.lists.get(number, [])
        if len(published) > len(made):
            replay.found.differs(Kind.PUBLISHED, replay.stored.case_no, number, "publishes the case list more often than it changed")
        # Long ago a list was published only when it had changed.
        unchanged = not published and number in replay.early
        if made and not unchanged and (not published or _content(published[-1].row) != _content(made[-1])):
            replay.found.differs(Kind.PUBLISHED, replay.stored.case_no, number, "does not publish the case list that it leaves")
        possible = {_content(row) for row in made}
        if any(_content(each.row) not in possible for each in published[:-1]):
            replay.found.differs(Kind.PUBLISHED, replay.stored.case_no, number, "publishes a case list that never was")


def _content(row: OutboxRow) -> tuple[str, bytes | None, bytes | None, bytes]:
    return row.topic, row.key, row.value, row.headers
