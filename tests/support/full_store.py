"""Statements that fill a store with twenty thousand cases, as plans are made for; each takes `rows` and `now`."""

from datetime import UTC, datetime

ROWS = 20_000
NOW = datetime(2025, 7, 4, tzinfo=UTC)
FILL = (
    """INSERT INTO cases (scheme, case_id, person, areas, orders_made, ordered_for)
       SELECT 'DAGPENGER', 'case-' || n, '01020312345', '{DP}', 1, lpad(n::text, 11, '0') FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO messages (message_no, source, partition, position, key, digest, body, scheme, case_no, dry_run, state,
                             received_at, answer)
       SELECT n, 'topic', n %% 3, n / 3, 'key', sha256('x'), convert_to(repeat(md5(n::text), 50), 'UTF8'), 'DAGPENGER', n, false,
              CASE WHEN n %% 500 = 0 THEN 'queued' WHEN n > %(rows)s - 500 THEN 'derived' ELSE 'answered' END, %(now)s, '{}'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, message, correlation_time, correlation_key,
                           is_first_order, made_at, sender, sent_at, day, sum_kroner)
       SELECT md5('order ' || n)::uuid, n, 1, 'DP', '01020312345', n,
              CASE WHEN n > %(rows)s - 200 THEN 'ready' WHEN n > %(rows)s - 300 THEN 'sending' WHEN n > %(rows)s - 500 THEN 'sent'
                   WHEN n %% 2000 = 0 THEN 'unknown' ELSE 'accepted' END,
              convert_to(repeat(md5(n::text), 60), 'UTF8'), '', sha256(convert_to(n::text, 'UTF8')), true, %(now)s, 'sender:1:1', %(now)s,
              current_date, 0
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO order_lines (order_id, position, line_id, payment_id, class_code, start_on, end_on, amount, decision_id,
                                rate_type, caseworker, approver, recipient)
       SELECT md5('order ' || n)::uuid, 0, md5('line ' || n)::uuid::text, md5('payment ' || n)::uuid, 'DAGPENGER', '2025-06-02',
              '2025-06-15', 553, 'B1', 'weekday', 'k', 'k', '01020312345'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payments (case_no, payment_id, version, order_id, area, action, state, client_chose, position_in_case, last_line,
                             document, currency)
       SELECT n, md5('payment ' || n)::uuid, 1, md5('order ' || n)::uuid, 'DP', 'CREATE',
              CASE WHEN n > %(rows)s - 500 THEN 'pending' ELSE 'accepted' END, n %% 2 = 0, 1, '',
              convert_to(repeat(md5(n::text), 15), 'UTF8'), 'NOK'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO receipts (message_id, digest, body, received_at, order_id, outcome)
       SELECT md5('receipt ' || n), sha256('x'), convert_to(repeat(md5(n::text), 60), 'UTF8'), %(now)s, md5('order ' || n)::uuid, 'accepted'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO cancellations (cancellation_id, order_id, number, rail, reason, message, asked_at, state, receipt_no)
       SELECT md5('cancellation ' || n)::uuid, md5('order ' || n)::uuid, 1, 'oppdrag', 'x', convert_to(repeat(md5(n::text), 10), 'UTF8'),
              %(now)s, CASE WHEN n %% 500 = 0 THEN 'ready' ELSE 'refused' END, CASE WHEN n %% 500 > 0 THEN n END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO outbox (topic, key, value, headers, event_id, message_no, made_at, relayed_at)
       SELECT 'status', 'key', convert_to(repeat(md5(n::text), 10), 'UTF8'), '[]', md5('event ' || n)::uuid, n, %(now)s,
              CASE WHEN n <= %(rows)s - 500 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO decisions (message_no, case_no, contract, operation, application, by_approver, outcome)
       SELECT n, n, 'called', 'post', 'application', false, CASE WHEN n %% 2 = 0 THEN 'ordered' ELSE 'unchanged' END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO idempotency_records (message_no, case_no, subject, name, digest)
       SELECT n, n, '01020312345', md5('payment ' || n)::uuid::text, sha256('x') FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO imported_decisions (message_no, case_no, subject, name, state, digest, answer)
       SELECT n, n, '01020312345', md5('payment ' || n)::uuid::text, 'accepted', sha256('x'), '{}'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO audit (chain, seq, at, what, digest, hash)
       SELECT n, 1, %(now)s, 'ordered', sha256('x'), sha256('y') FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO deferred (scheme, case_id, source, partition, position, body, came_at, taken_at)
       SELECT 'DAGPENGER', 'case-' || n, 'topic', 0, n, 'x', %(now)s, CASE WHEN n > 100 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO simulation_requests (name, asker, contract, message_no, case_no, person, rail, state, simulator,
                                        times_asked, requested_at, ended_at)
       SELECT 'message ' || n, 'message', 'helved', n, n, '01020312345', 'oppdrag',
              CASE WHEN n > %(rows)s - 100 THEN 'requested' WHEN n %% 500 = 0 THEN 'asked' ELSE 'answered' END,
              'simulator:1:1', 1, %(now)s,
              CASE WHEN n <= %(rows)s - 100 AND n %% 500 > 0 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO simulation_questions (request_no, place, area, question, status, answer)
       SELECT n, 0, 'DP', convert_to(repeat(md5(n::text), 60), 'UTF8'), 200, convert_to(repeat(md5(n::text), 60), 'UTF8')
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO log_entries (topic, partition, position, at, key, value)
       SELECT 'topic', n %% 3, n / 3, %(now)s, 'key', convert_to(repeat(md5(n::text), 50), 'UTF8')
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO queue.message (queue, message_id, body, reply_to, priority, consumed_at)
       SELECT 'requests', md5('order ' || n), CASE WHEN n > %(rows)s - 500 THEN convert_to(repeat(md5(n::text), 60), 'UTF8') END,
              'replies', 4,
              CASE WHEN n <= %(rows)s - 500 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.received (message_id, digest, received_at, area, case_id, outcome, severity, note)
       SELECT md5('order ' || n), sha256('x'), %(now)s, 'DP', 'case-' || n, 'accepted', '00', '' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.known_case (area, case_id, person, opened_by)
       SELECT 'DP', 'case-' || n, '01020312345', md5('order ' || n) FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.entry (area, case_id, kind, chain, line_id, starts, ends, amount, rate_code, class_code, message_id)
       SELECT 'DP', 'case-' || n, 'line', '', 'line-' || n, '2025-06-02', '2025-06-15', 553, 'DAG7', 'DAGPENGER', md5('order ' || n)
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.accounts (account_id, currency, created_at, request_key, entries)
       SELECT n, 'RUB', %(now)s, 'account-' || n, 1 FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.plans (plan_id, state, held_at, changed_at)
       SELECT 'plan-' || n, CASE WHEN n %% 100 = 0 THEN 'held' ELSE 'committed' END, %(now)s, %(now)s
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.postings (plan_id, batch_id, position, source, target, amount, currency, description)
       SELECT 'plan-' || n, 1, 0, n, 1 + n %% %(rows)s, 100, 'RUB', 'x' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.steps (plan_id, operation, batch_id, at, accounts, entries)
       SELECT 'plan-' || n, 'HOLD', 1, %(now)s, ARRAY[n], ARRAY[1] FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.entries (account_id, entry, at, plan_id, operation, batch_id, posted, available_min, available_max)
       SELECT n, 1, %(now)s, 'plan-' || n, 'HOLD', 1, 0, 0, 0 FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.payouts (payout_id, sequence, created_at, party_id, shop_id, status, payout_tool_id, amount, fee, currency,
                                    ledger, plan_id, last_event_hash)
       SELECT 'q-' || n, 0, %(now)s::timestamptz + n * interval '1 ms', 'party-' || n %% 500, 'shop-1',
              CASE WHEN n %% 100 = 0 THEN 'unpaid' ELSE 'confirmed' END, 'tool-1', 100, 1, 'RUB', 'own', 'plan-' || n, 'x'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.cash_flow (payout_id, position, source_type, source, target_type, target, amount, currency)
       SELECT 'q-' || n, 0, 'merchant_settlement', 1, 'merchant_payout', 2, 100, 'RUB' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.events (payout_id, sequence, at, status, body, hash)
       SELECT 'q-' || n, 0, %(now)s, 'unpaid', convert_to(repeat(md5(n::text), 10), 'UTF8'), 'x' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.saga_steps (payout_id, number, action, plan_id, content, state, made_at, closed_at, busy_until, next_try_at)
       SELECT 'q-' || n, 1, 'create', 'plan-' || n, 'x', 'done', %(now)s, %(now)s, %(now)s, %(now)s
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rest.requests (subject, key, digest, first_at, busy_until, status, content_type, body)
       SELECT 'app-' || n %% 10, 'key-' || n, sha256('x'), %(now)s, %(now)s, 201, 'application/json',
              convert_to(repeat(md5(n::text), 10), 'UTF8')
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.hold_back (area, case_id, starts, is_error)
       SELECT 'DP', 'case-' || n, '2025-06-02', false FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.receipt (receipt_id, message_id, digest, reply_to, body, due_at, put_at)
       SELECT md5('receipt ' || n), md5('order ' || n), sha256('x'), 'replies', convert_to(repeat(md5(n::text), 60), 'UTF8'), %(now)s,
              CASE WHEN n <= %(rows)s - 500 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
)

REPORTED = (
    """INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, trigger, made_at, state)
       SELECT md5('run ' || n)::uuid, 'oppdrag', 'DP', 'interface', 'helved', current_date - n, current_date - n, 'schedule', %(now)s,
              'good'
       FROM generate_series(1, 200) AS n""",
    """INSERT INTO reconciled_orders (run_no, order_id, bucket, key_day)
       SELECT 1 + n %% 200, md5('order ' || n)::uuid, 'accepted', current_date FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO reconciliation_messages (run_no, place, message_id, body, state)
       SELECT 1 + n %% 200, n, md5('message ' || n)::uuid, convert_to(repeat(md5(n::text), 50), 'UTF8'), 'sent'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO reconciliation_remarks (run_no, case_no, remark)
       SELECT 1 + n %% 200, n, 'taken over' FROM generate_series(1, %(rows)s) AS n""",
)
"""What was reported of it."""
