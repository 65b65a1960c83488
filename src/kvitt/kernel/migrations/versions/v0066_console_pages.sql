-- Views that more pages of the console read: payouts and the ledger, reconciliation, simulations, parties and the embedded log.

CREATE OR REPLACE VIEW kvitt_views.payouts AS
SELECT p.payout_id, p.party_id, p.shop_id, p.status, p.amount AS amount_minor, p.fee AS fee_minor, p.currency, p.created_at, p.last_at,
       p.cancel_details, p.ledger, p.plan_id, p.reversal_plan_id, p.payout_tool_id, p.sequence, p.republished
FROM payouts.payouts AS p;

CREATE VIEW kvitt_views.payout_postings AS
SELECT c.payout_id, c.position, c.source_type, c.source, c.target_type, c.target, c.amount AS amount_minor, c.currency, c.details
FROM payouts.cash_flow AS c;

CREATE VIEW kvitt_views.payout_events AS
SELECT e.payout_id, e.sequence, e.at, e.status, e.actor, e.body, e.hash FROM payouts.events AS e;

CREATE VIEW kvitt_views.payout_steps AS
SELECT s.payout_id, s.number, s.action, s.plan_id, s.state, s.made_at, s.closed_at, s.tries, s.reason,
       CASE WHEN s.closed_at IS NULL THEN s.next_try_at END AS next_try_at
FROM payouts.saga_steps AS s;

CREATE OR REPLACE VIEW kvitt_views.ledger_accounts AS
SELECT a.account_id, a.currency, a.description, a.posted AS posted_minor, a.available_min AS available_min_minor,
       a.available_max AS available_max_minor, a.entries, a.created_at, a.last_at, a.request_key, a.made_by
FROM ledger.accounts AS a;

CREATE VIEW kvitt_views.ledger_entries AS
SELECT e.account_id, e.entry, e.at, e.plan_id, e.operation, e.batch_id, e.posted AS posted_minor, e.available_min AS available_min_minor,
       e.available_max AS available_max_minor
FROM ledger.entries AS e;

CREATE VIEW kvitt_views.ledger_postings AS
SELECT p.plan_id, p.batch_id, p.position, p.source, p.target, p.amount AS amount_minor, p.currency, p.description FROM ledger.postings AS p;

-- The end of a plan is of no batch.
CREATE VIEW kvitt_views.ledger_steps AS
SELECT s.plan_id, s.operation, CASE WHEN s.operation = 'HOLD' THEN s.batch_id END AS batch_id, s.at, s.actor FROM ledger.steps AS s;

-- What of the orders of a run is otherwise by now, since when, and by what.
CREATE OR REPLACE VIEW kvitt_views.reconciled_orders AS
SELECT e.run_no, e.order_id, o.case_no, n.area, e.bucket, e.receipt_no, e.key_day, e.cause, o.state AS order_state,
       o.sum_kroner, n.state AS run_state, c.scheme, c.case_id, n.made_at AS run_made_at, o.settled_at, o.decided_by_hand,
       o.receipt_no AS order_receipt_no
FROM public.reconciled_orders AS e
JOIN public.reconciliation_runs AS n ON n.run_no = e.run_no
JOIN public.orders AS o ON o.order_id = e.order_id
JOIN public.cases AS c ON c.case_no = o.case_no;

CREATE VIEW kvitt_views.reconciliation_texts AS
SELECT m.run_no, m.place, m.message_id, m.state, m.sent_at, m.body FROM public.reconciliation_messages AS m;
COMMENT ON VIEW kvitt_views.reconciliation_texts IS 'Messages of runs as they leave: personal data.';

CREATE OR REPLACE VIEW kvitt_views.simulations AS
SELECT r.request_no, r.asker, r.contract, r.caller, r.message_no, c.scheme, c.case_id, r.rail, r.state, r.requested_at, r.asked_at,
       r.times_asked, r.ended_at, r.reason, r.case_no, r.deadline
FROM public.simulation_requests AS r JOIN public.cases AS c ON c.case_no = r.case_no;

CREATE VIEW kvitt_views.simulation_texts AS
SELECT q.request_no, q.place, q.area, q.order_id, q.attempts, q.status, q.reason, q.note, q.question, q.answer
FROM public.simulation_questions AS q;
COMMENT ON VIEW kvitt_views.simulation_texts IS 'Questions as they are asked, and answers as they came: personal data.';

-- How the rail would pay otherwise than was expected of an order, a row for each difference.
CREATE VIEW kvitt_views.order_check_differences AS
SELECT k.order_id, k.request_no, d.place::integer AS place, d.found ->> 'kind' AS kind, d.found ->> 'class_code' AS class_code,
       (d.found ->> 'first_day')::date AS first_day, (d.found ->> 'last_day')::date AS last_day,
       coalesce((d.found ->> 'expected_kroner')::bigint, 0) AS expected_kroner,
       coalesce((d.found ->> 'simulated_kroner')::bigint, 0) AS simulated_kroner
FROM public.order_checks AS k
CROSS JOIN LATERAL jsonb_array_elements(k.differences) WITH ORDINALITY AS d (found, place);

-- The local directory of parties.
CREATE VIEW kvitt_views.parties AS SELECT p.party_id, p.revision, p.loaded_at, p.document FROM parties.parties AS p;
CREATE VIEW kvitt_views.house_accounts AS SELECT h.currency, h.loaded_at, h.document FROM parties.house AS h;

-- The embedded log.
CREATE VIEW kvitt_views.topic_partitions AS SELECT l.topic, l.partition, l.next_position FROM public.log_partitions AS l;
CREATE VIEW kvitt_views.record_texts AS
SELECT r.topic, r.partition, r.position, r.at, r.key, r.headers, r.value FROM public.log_records AS r;
COMMENT ON VIEW kvitt_views.record_texts IS 'Records of the embedded log: personal data.';
