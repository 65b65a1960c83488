"""What must be true when all killing is over: nothing lost, nothing doubled, nothing unknown, and paid what was accepted last."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import psycopg

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.outputs import decode_status
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator import duplicates, received, spans
from support.desired import days_between
from support.kill_harness_load import Amounts, Fed

AREAS = {Scheme.DAGPENGER: "DP", Scheme.AAP: "AAP", Scheme.TILLEGGSSTONADER: "TILLSTPB"}
_SATURDAY = 5
Published = Mapping[str, Sequence[Answer]]
"""What the status topic says, by key, in order."""
Connection = psycopg.Connection[tuple[object, ...]]


def prove(conninfo: str, fed: Sequence[Fed], published: Published) -> None:
    """Fails when anything was lost, doubled, left unknown, or is paid otherwise than accepted. What was fed twice counts twice."""
    with connect(conninfo) as connection:
        _everything_is_answered_once(connection, fed, published)
        _nothing_is_left_open(connection)
        _the_rail_got_everything_once(connection)
        _the_rail_pays_what_was_accepted_last(connection, fed, published)
    assert [repr(difference) for difference in check(conninfo, PORTS).differences] == []


def published_in_log(conninfo: str) -> Published:
    """What the status topic of the embedded log says."""
    published: dict[str, list[Answer]] = {}
    query = "SELECT key, value FROM log_records WHERE topic = %s ORDER BY partition, position"
    with connect(conninfo) as connection:
        for key, value in connection.execute(query, (helved_topics.STATUSES,)):
            assert isinstance(key, bytes)
            assert isinstance(value, bytes)
            published.setdefault(key.decode(), []).append(decode_status(value))
    return published


def _everything_is_answered_once(connection: Connection, fed: Sequence[Fed], published: Published) -> None:
    stored = [str(key) for (key,) in connection.execute("SELECT convert_from(key, 'UTF8') FROM messages")]
    times = Counter(each.key for each in fed)
    assert Counter(stored) == times
    for each in fed:
        counts = Counter(answer.status for answer in published.get(each.key, ()))
        assert counts[Status.OK] + counts[Status.FAILED] == times[each.key], (each.key, counts)
        # Who waits behind an open order hears MOTTATT at once, and again with the lines when it is ordered.
        assert counts[Status.RECEIVED] <= 2 * times[each.key], (each.key, counts)
        assert counts[Status.WITH_RAIL] <= times[each.key], (each.key, counts)
        assert each.wanted is not None or counts[Status.FAILED] == times[each.key], each.key
    assert published.keys() == times.keys()
    dead = {bytes(body) for (body,) in connection.execute("SELECT body FROM dead_letters") if isinstance(body, bytes)}
    assert dead == {each.body for each in fed if each.wanted is None}


def _nothing_is_left_open(connection: Connection) -> None:
    for query in (
        "SELECT order_id::text, state FROM orders WHERE state NOT IN ('accepted', 'rejected')",
        "SELECT message_no, state FROM messages WHERE state <> 'answered'",
        "SELECT outbox_no FROM unpublished",
        "SELECT event_id::text FROM outbox GROUP BY event_id HAVING count(*) > 1",
        "SELECT case_id FROM cases WHERE open_orders + queued > 0",
        "SELECT queue, message_id FROM queue.message WHERE consumed_at IS NULL",
        "SELECT receipt_no, outcome FROM receipts WHERE outcome IN ('unclear', 'unmatched', 'unreadable')",
    ):
        assert connection.execute(query.encode()).fetchall() == [], query


def _the_rail_got_everything_once(connection: Connection) -> None:
    found = duplicates(connection)
    assert (found.lines, found.conflicting_messages, found.same_bytes) == ((), (), ())
    orders = {str(order_id) for (order_id,) in connection.execute("SELECT order_id::text FROM orders")}
    got = list(received(connection))
    # What an operator had sent again has the id of its copy there.
    assert {each.message_id.partition("/")[0] for each in got} == orders
    assert {each.outcome for each in got} <= {"accepted", "warned", "refused"}


def _the_rail_pays_what_was_accepted_last(connection: Connection, fed: Sequence[Fed], published: Published) -> None:
    wanted: dict[tuple[Scheme, str], tuple[Amounts, ...]] = {}
    # The answers of one key stand in the order in which its records were fed.
    finals = {
        key: iter([each.status for each in answers if each.status in (Status.OK, Status.FAILED)]) for key, answers in published.items()
    }
    for each in fed:
        if next(finals[each.key]) is Status.OK and each.wanted is not None:
            wanted[each.scheme, each.case] = each.wanted
    for (scheme, case), payments in wanted.items():
        assert sorted(_paid(connection, AREAS[scheme], case), key=_order) == sorted(map(_weekdays, payments), key=_order), case


def _order(amounts: Amounts) -> list[tuple[str, int]]:
    return [(str(day), amount) for day, amount in sorted(amounts.items())]


def _paid(connection: Connection, area: str, case: str) -> Iterable[Amounts]:
    chains: dict[str, Amounts] = {}
    for span in spans(connection, area, case):
        chains.setdefault(span.chain_first_line_id, {}).update(dict.fromkeys(days_between(span.start, span.end), span.amount))
    return map(_weekdays, chains.values())


def _weekdays(amounts: Amounts) -> Amounts:
    """The days that count: at weekdays' rates the rail pays nothing on others."""
    return {day: amount for day, amount in amounts.items() if day.weekday() < _SATURDAY}
