"""Every statement of a page of the console finds its rows by index, or reads what stays small (see test_plans).

People look at pages when a store has long had its statistics, so a store that has just been filled is not asked.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from integration.test_plans import IDS, Connection, Parameters, counted_store, plan_of, scanned
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from support.full_store import NOW, ROWS
from support.used_again import UsingAgain

CONSOLE = "kvitt.api.console.pages"
HOT: dict[str, dict[str, Parameters]] = {}
A_CASE = {"case_no": 7, "scheme": "DAGPENGER", "case_id": "case-7", "limit": 100, "events": 500}
BEHIND = {"message_no": ROWS // 2, "order_id": IDS[0], "looked_through": 1_000, "limit": 51}
FILTERS = {**BEHIND, "state": None, "area": "DP", "scheme": None, "least": 100}
HOT["orders"] = {
    "orders": {**FILTERS, "state": "rejected"},
    "open_orders": {**FILTERS, "state": "sent"},
    "held_orders": {**FILTERS, "state": "ready", "twice": True},
    "end_of_look": BEHIND,
    "exempts": {"order_id": IDS[0]},
    "exempt_pairs": {"case_no": 7, "other_case_no": 8, "class_code": "DPORAS", "limit": 51},
    **{
        name: {"order_id": IDS[0], "limit": 100}
        for name in ("order", "lines", "reasons", "receipts", "cancellations", "order_text", "order_version")
    },
}
OF_A_CASE = ("attention_of_case", "paid", "orders_of_case", "lines_of_case", "receipts_of_case", "messages_of_case", "has_payments")
BEHIND_EVENT = {**A_CASE, "kind": None, "at": NOW, "place": 1, "no": 7}
AROUND = {**A_CASE, "order_id": IDS[0], "order_ids": IDS, "number": 1, "first": NOW.date(), "last": NOW.date()}
HOT["cases"] = dict.fromkeys(("case_by_no", *OF_A_CASE, "cases_of_person", "case_version", "person_version"), A_CASE)
HOT["case_words"] = dict.fromkeys(("orders_in_words", "queued", "deferred"), AROUND)
HOT["case_months"] = dict.fromkeys(("versions", "spans_of_month"), AROUND)
HOT["case_days"] = dict.fromkeys(("orders_to_choose", "spans_around_order", "spans_by_now", "lines_around_order"), AROUND)
HOT["case_timeline"] = dict.fromkeys(("events", "acts"), BEHIND_EVENT)
HOT["case_notes"] = {"notes": {**A_CASE, "order_id": None}, "newest_notes": {"case_nos": [7, 8]}}
AN_ORDER = {
    "case_no": 7,
    "order_id": IDS[0],
    "order_ids": IDS,
    "positions": [0] * len(IDS),
    "subjects": IDS,
    "limit": 50,
    "before": None,
    "lines": 200,
    "cases": 50,
}
HOT["order_twins"] = dict.fromkeys(("twins", "lines_named", "receipts_of_orders", "acts_on_orders", "released"), AN_ORDER)
NEAR = {
    **AN_ORDER,
    "rail": "oppdrag",
    "area": "DP",
    "message_no": 7,
    "near": 5,
    "looked_through": 500,
    "queues": ["requests"],
    "message_ids": IDS[:3],
}
HOT["order_whereabouts"] = dict.fromkeys(("sending", "queues", "copies", "near", "strays", "whereabouts_version"), NEAR)
CALLS = {
    "before": ROWS,
    "looked_through": 500,
    "limit": 51,
    "case_no": 7,
    "outcome": "refused",
    "application": None,
    "caller": "a/b",
    "after": "",
}
HOT["requests"] = dict.fromkeys(("calls", "calls_of_case", "end_of_look", "refused", "callers", "answers"), CALLS)
OF_SENDERS = {"since": NOW, "looked_through": 500, "limit": 51, "at": NOW, "message_no": 7, "sources": ["a", "b"], "known": 7}
HOT["senders"] = dict.fromkeys(("moment_reached", "failures", "waiting", "newest_message", "has_failed_since"), OF_SENDERS)
HOT["records"] = {
    "message": {"message_no": 7},
    "message_version": {"message_no": 7},
    "receipt": {"receipt_no": 7},
    "receipt_version": {"receipt_no": 7},
}
HOT["limits"] = {"hours": {"sources": ["a", "b"], "since": NOW, "hour": NOW, "limit": 51}}
OF_A_MESSAGE = {"message_no": 7, "limit": 100}
HOT["records"] |= dict.fromkeys(("published_for", "call_of_message", "is_refused_by_rail"), OF_A_MESSAGE)
HOT["audit"] = {"entries": {"chain": 7, "before": 1_000, "limit": 51}, "orders_among": {"order_ids": IDS}}
A_PAYOUT = {
    "at": NOW,
    "payout_id": "q-7",
    "party": None,
    "shop": None,
    "status": None,
    "currency": "RUB",
    "looked_through": 1_000,
    "limit": 52,
}
HOT["payouts"] = {
    "payouts": A_PAYOUT,
    "payouts_of_party": {**A_PAYOUT, "party": "party-7", "status": "paid"},
    "payouts_in_status": {**A_PAYOUT, "status": "unpaid"},
    **dict.fromkeys(("payout", "postings", "events", "steps", "acts", "payout_version"), A_PAYOUT),
}
AN_ACCOUNT = {"account_id": 7, "entry": 1, "first": 1, "before": 1_000, "looked_through": 1_000, "limit": 51}
A_PLAN = {"plan_id": "plan-7", "payout_id": "q-7", "limit": 1_000}
HOT["ledger"] = {
    **dict.fromkeys(("accounts", "account", "entries", "open_plans", "moment_of_entry"), AN_ACCOUNT),
    **dict.fromkeys(("plan", "steps", "postings", "payout_of_plan"), A_PLAN),
}
A_RUN = {"run_no": 7, "after": 1, "looked_through": 500, "first": NOW.date(), "last": NOW.date(), "limit": 500}
HOT["reconciliation"] = dict.fromkeys(("run", "sums", "messages", "remarks", "run_version"), A_RUN) | {"since": {**A_RUN, "after": IDS[0]}}
A_SIMULATION = {
    "before": ROWS // 2,
    "state": "failed",
    "case_no": 7,
    "looked_through": 1_000,
    "limit": 52,
    "request_no": 7,
    "order_ids": IDS,
}
HOT["simulations"] = dict.fromkeys(
    ("simulations", "simulations_of_case", "version_of_case", "simulation", "questions", "differences", "simulation_version"), A_SIMULATION
)
A_RECORD = {"topic": "topic", "partition": 1, "position": 7, "before": 1_000, "limit": 51}
HOT["topics"] = dict.fromkeys(("records", "record"), A_RECORD)
HOT["search"] = {
    "search": {
        "text": "case-7",
        "beginning": "case-7%",
        "case_of_line": "case-7",
        "person": "01020312345",
        "low": IDS[0],
        "high": IDS[1],
        "number": 7,
        "limit": 21,
    }
}
A_KEY = {"key": "key", "messages": 1_000, "limit": 21}
A_RECEIPT = {"before": 1_000, "outcome": None, "code": "x", "rail": None, "looked_through": 1_000, "limit": 51}
HOT["receipts"] = dict.fromkeys(("receipts", "open_receipts", "end_of_look"), A_RECEIPT)
HOT["health"] = {"backlogs": {}}
RAILS = {"rails": ["oppdrag"], "areas": ["DP", "AAP"]}
HOT["overview"] = {
    "backlogs": {},
    "has_uncounted": {},
    "attention": {"limit": 101},
    "last_runs": RAILS,
    "message_hours": {"hours": [NOW]},
    "keeping_up": {"since": NOW},
}
HOT["sending"] = {"open_sums": {**RAILS, "clock": [NOW] * 3, "day": [NOW], "four_hours": [NOW], "hour": [NOW], "limit": 1_000}}
HOT["resend_many"] = {"without_word": {"state": "sent", "area": "DP", "since": NOW, "until": NOW, "limit": 501}}
NOT_HOT: dict[str, set[str]] = {
    "search": {"by_index_alone", "messages_of_key"},  # a setting, and a plan that wants it: see below
    "case_notes": {"add_note"},  # a plain insert
    "reconciliation": {"newest_day", "runs", "alarms"},  # some rows for each area and day
    "topics": {"partitions", "next_position"},  # a few rows
    "health": {"alarms", "last_check"},  # as many as stand, and one for each check
    "overview": {"not_taken_in", "last_receipts"},  # a row for each partition that is read; a thousand rows of an index from its end
    "sending": {"stops"},  # a few rows
}
STATEMENTS = [(file, name) for file, statements in HOT.items() for name in statements]


@pytest.fixture(scope="module")
def analysed(kvitt_server: UsingAgain) -> Iterator[Connection]:
    """A store with twenty thousand cases, and with statistics."""
    with counted_store(kvitt_server) as connection:
        yield connection


@pytest.mark.parametrize(("file", "name"), STATEMENTS)
def test_a_page_reads_its_rows_by_index(analysed: Connection, file: str, name: str) -> None:
    assert scanned(plan_of(analysed, CONSOLE, file, name, HOT[file][name])) == []


def test_every_statement_of_a_page_can_be_planned_on_an_empty_store(database: str) -> None:
    with connect(database) as connection:
        for file, name in STATEMENTS:
            assert plan_of(connection, CONSOLE, file, name, HOT[file][name])["Node Type"]


@pytest.mark.parametrize("file", list(HOT))
def test_every_statement_of_a_page_is_either_held_to_its_plan_or_said_not_to_need_it(file: str) -> None:
    assert set(dir(load(file, package=CONSOLE))) == set(HOT[file]) | NOT_HOT.get(file, set())


def test_a_message_is_found_by_its_key_without_reading_the_others(analysed: Connection) -> None:
    with analysed.transaction(force_rollback=True):
        analysed.execute(load("search", package=CONSOLE).by_index_alone)
        plan = plan_of(analysed, CONSOLE, "search", "messages_of_key", A_KEY)
    assert scanned(plan) == []
    assert "messages_by_key" in {node.get("Index Name") for node in nodes_of(plan)}


def test_orders_that_wait_for_their_rail_are_not_looked_at_for_what_needs_a_person(analysed: Connection) -> None:
    """At night, or behind a stop, all of a day's may wait."""
    plan = plan_of(analysed, CONSOLE, "overview", "attention", HOT["overview"]["attention"])
    looked = [node for node in nodes_of(plan) if "'ready'" in str(node.get("Index Cond"))]
    assert looked == []
    assert "orders_held" in {node.get("Index Name") for node in nodes_of(plan)}


def test_what_needs_a_person_is_found_by_sum_and_age_however_much_waits(analysed: Connection) -> None:
    """At night, or behind a stop, all of a day's orders may wait; and of what needs a person there may be ten thousands."""
    nodes = [*nodes_of(plan_of(analysed, CONSOLE, "overview", "attention", HOT["overview"]["attention"]))]
    assert [node for node in nodes if "'ready'" in str(node.get("Index Cond"))] == []
    assert {"orders_held_by_sum", "orders_unknown_by_sum"} <= {node.get("Index Name") for node in nodes}
    sorts = [node for node in nodes if node["Node Type"] == "Sort" and node["Plans"][0]["Node Type"] == "Index Scan"]
    assert [node["Plans"][0]["Index Name"] for node in sorts if node["Plans"][0]["Relation Name"] == "orders"] == []


def test_cases_whose_ids_begin_with_a_letter_are_not_sorted(analysed: Connection) -> None:
    nodes = [*nodes_of(plan_of(analysed, CONSOLE, "search", "search", {**HOT["search"]["search"], "beginning": "c%"}))]
    sorted_below = [part for node in nodes if node["Node Type"] == "Sort" for part in nodes_of(node) if part.get("Alias") == "c"]
    assert [part["Index Name"] for part in sorted_below if part.get("Index Name") == "cases_by_id"] == []
    assert "cases_by_id" in [node["Index Name"] for node in nodes if "~>=~" in str(node.get("Index Cond"))]


MUCH = (
    "UPDATE orders SET sum_kroner = message_no * 7919 %% 1000003 WHERE message_no <= 4000",
    "UPDATE orders SET state = 'unknown', sent_at = NULL, sending_at = NULL WHERE message_no <= 900",
    """UPDATE orders SET state = 'ready', held_for = jsonb_build_array(
           jsonb_build_object('kind', CASE WHEN message_no %% 2 = 0 THEN 'unchecked' ELSE 'over_limit' END))
       WHERE message_no BETWEEN 1001 AND 2800""",
    """INSERT INTO order_checks (order_id, case_no, message_no, made_at, mode, waits, question, times_asked)
       SELECT order_id, case_no, message_no, made_at, 'block', true, 'x', CASE WHEN message_no %% 3 = 0 THEN 12 ELSE 2 END
       FROM orders WHERE message_no BETWEEN 1001 AND 2000 AND message_no %% 2 = 0""",
    "UPDATE orders SET state = 'sent' WHERE message_no BETWEEN 3001 AND 3900",
    """INSERT INTO alarms (order_id, area, sum_kroner, sent_at, raised_at)
       SELECT order_id, area, sum_kroner, sent_at, %(now)s FROM orders WHERE message_no BETWEEN 3001 AND 4000""",
    """INSERT INTO dead_letters (source, partition, position, body, reason, at)
       SELECT 'topic', 0, n, 'x', 'why', %(now)s::timestamptz - n * interval '1 s' FROM generate_series(1, 900) AS n""",
)
MOST_MONEY = """
SELECT o.order_id
FROM orders AS o
LEFT JOIN order_checks AS k ON k.order_id = o.order_id AND k.times_asked >= 12
LEFT JOIN alarms AS a ON a.order_id = o.order_id
WHERE o.state = 'unknown'
   OR (o.state = 'ready' AND o.held_for <> '[]' AND (o.held_for::text LIKE '%%over_limit%%' OR k.order_id IS NOT NULL))
   OR (o.state = 'sent' AND a.order_id IS NOT NULL)
ORDER BY o.sum_kroner DESC, o.made_at
LIMIT %(limit)s"""


def test_what_is_found_kind_by_kind_is_what_is_found_when_all_of_it_is_sorted(analysed: Connection) -> None:
    statement = load("overview", package=CONSOLE).attention
    with analysed.transaction(force_rollback=True):
        for each in MUCH:
            analysed.execute(each.encode(), {"now": NOW})
        found = analysed.execute("SELECT order_id, sum_kroner FROM (" + statement.rstrip("; \n") + ") AS f", {"limit": 1_000}).fetchall()
        given = analysed.execute(MOST_MONEY, {"limit": 1_000}).fetchall()
        letters = analysed.execute(statement, {"limit": 5_000}).fetchall()
        plan = plan_of(analysed, CONSOLE, "overview", "attention", HOT["overview"]["attention"])
    assert [order_id for order_id, _ in found] == [order_id for (order_id,) in given]
    assert sorted((kroner for _, kroner in found), reverse=True) == [kroner for _, kroner in found]
    assert len([each for each in letters if "dead letter" in each]) == 900
    used = {node.get("Index Name") for node in nodes_of(plan)}
    assert {"orders_held_by_sum", "orders_unknown_by_sum", "alarms_by_sum", "dead_letters_open_since"} <= used, "whatever statistics knew"


def test_the_bell_of_each_page_looks_only_at_what_is_asked_for(analysed: Connection) -> None:
    bell = {"now": NOW, "issuer": "issuer", "person": "person", "limit": 100}
    with analysed.transaction(force_rollback=True):
        analysed.execute(
            """INSERT INTO approvals (act, arguments, subject, asked_by, reason, effect, basis, asked_at, lapses_at, state, decided_at,
                                      decided_by, decided_because)
               SELECT 'order decide', '{}', n::text, 'hans', 'a reason', 'an effect', '', now(), now(), 'refused', now(), 'guro', 'no'
               FROM generate_series(1, 5000) AS n"""
        )
        analysed.execute("ANALYZE approvals")
        plan = plan_of(analysed, "kvitt.api.console", "bell", "waits_for", bell)
    assert scanned(plan) == []
    assert "approvals_open" in {node.get("Index Name") for node in nodes_of(plan)}


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield node
    for part in node.get("Plans", ()):
        yield from nodes_of(part)
