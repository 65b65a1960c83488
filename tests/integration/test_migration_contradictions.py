"""What the migration that keeps contradictions makes of orders and receipts that were there before it."""

from pathlib import Path

import msgspec

from kvitt.disbursement.holding import IN_CONTRADICTION
from kvitt.kernel.audit import AuditRow, digest, link
from kvitt.kernel.database import connect
from kvitt.kernel.migrate import upgrade
from support.older_database import make_older

BEFORE = """
INSERT INTO cases (scheme, case_id, orders_made, open_orders) VALUES ('DAGPENGER', 'A', 3, 1);
INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, xml, stamp, lines_digest, first, made_at, blocked,
                    receipt_no)
VALUES ('00000000-0000-0000-0000-000000000001', 1, 1, 'DP', '1', 1, 'rejected', '<o/>', '', '', true, now(), NULL, 1),
       ('00000000-0000-0000-0000-000000000002', 1, 2, 'DP', '1', 2, 'accepted', '<o/>', '', '', true, now(), NULL, 3),
       ('00000000-0000-0000-0000-000000000003', 1, 3, 'DP', '1', 3, 'ready', '<o/>', '', '', true, now(), '1 line(s)', NULL);
INSERT INTO receipts (message_id, digest, body, received_at, order_id, grade, outcome, note)
VALUES ('operator-1', '1', '', now(), '00000000-0000-0000-0000-000000000001', '08', 'rejected', 'nei'),
       ('from the rail', '2', '', now(), '00000000-0000-0000-0000-000000000001', '00', 'contradicts', 'æøå'),
       ('from the rail', '3', '', now(), '00000000-0000-0000-0000-000000000002', '00', 'accepted', '');
"""


def test_reasons_deciders_and_contradictions_are_taken_over(empty_database: str, tmp_path: Path) -> None:
    make_older(empty_database, before="contradictions", folder=tmp_path)
    with connect(empty_database) as connection:
        connection.execute(BEFORE.encode())
    upgrade(empty_database)
    with connect(empty_database) as connection:
        orders = connection.execute("SELECT state, held_for, decided_by_hand FROM orders ORDER BY number").fetchall()
        found = connection.execute("SELECT order_id::text, receipt_no, ours, rails, resolution FROM contradictions").fetchall()
        case = connection.execute("SELECT contradictions, audit_seq, last_event_hash FROM cases").fetchone()
        audit = connection.execute("SELECT chain, seq, at, what, message_no, order_id::text, receipt_no, digest, note, hash FROM audit")
        (entry,) = [AuditRow(*row) for row in audit]
    held = [{"kind": "equal_line", "text": "1 line(s)"}, msgspec.to_builtins(IN_CONTRADICTION)]
    assert orders == [("rejected", [], True), ("accepted", [], False), ("ready", held, False)]
    assert found == [("00000000-0000-0000-0000-000000000001", 2, "rejected", "accepted", None)]
    assert case is not None
    assert case[:2] == (1, 1)
    assert (entry.chain, entry.seq, entry.what, entry.message_no, entry.receipt_no, entry.hash) == (1, 1, "contradicted", 1, 2, case[2])
    assert entry.digest == digest(b"<o/>", b"00", "æøå".encode())
    assert link(b"", entry) == entry
