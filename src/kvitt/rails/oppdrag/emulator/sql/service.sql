-- The simulation service: its settings, its tokens, and the watch over cases.

-- name: service_settings
-- How the service behaves and what goes wrong there, as JSON texts; rows: habits, faults.
SELECT habits::text AS habits, faults::text AS faults FROM rail.simulation_service;

-- name: service_frame
-- What a request is judged by; rows: habits, faults, is_known (whether the assertion is good), may_pass (whether the proxy's
-- token is), has_case (whether there is such a case), last_run, others (area and case id of other
-- cases of the person, not very many; null = none), and what is held back from the person (null = nothing).
SELECT service.habits::text AS habits, service.faults::text AS faults,
       EXISTS (SELECT FROM rail.assertion AS good WHERE good.assertion_id = %(assertion_id)s AND good.valid_until > %(now)s) AS is_known,
       EXISTS (SELECT FROM rail.assertion AS good WHERE good.assertion_id = %(proxy_token)s AND good.valid_until > %(now)s) AS may_pass,
       EXISTS (SELECT FROM rail.known_case AS known WHERE known.area = %(area)s AND known.case_id = %(case_id)s) AS has_case,
       (SELECT max(run.day) FROM rail.payment_run AS run) AS last_run,
       (
           SELECT array_agg(other.area || ' ' || other.case_id ORDER BY other.area, other.case_id)
           FROM (
               SELECT known.area, known.case_id
               FROM rail.known_case AS known
               WHERE known.person = %(person)s AND (known.area, known.case_id) <> (%(area)s, %(case_id)s)
               ORDER BY known.area, known.case_id
               LIMIT %(most_others)s
           ) AS other
       ) AS others,
       kept.tax_percent, kept.deduction_class, kept.deduction_kroner
FROM rail.simulation_service AS service
LEFT JOIN rail.withholding AS kept ON kept.person = %(person)s;

-- name: lock_service
-- Holds the settings until the transaction ends.
SELECT 1 FROM rail.simulation_service FOR UPDATE;

-- name: set_habits
-- Replaces how the service behaves.
UPDATE rail.simulation_service SET habits = %(habits)s::jsonb;

-- name: set_service_faults
-- Replaces what goes wrong there.
UPDATE rail.simulation_service SET faults = %(faults)s::jsonb;

-- name: add_assertion
-- Hands out an assertion, or a token of the proxy, and forgets those that are long past.
WITH past AS (DELETE FROM rail.assertion WHERE valid_until < %(now)s - interval '1 day')
INSERT INTO rail.assertion (assertion_id, user_name, valid_until) VALUES (%(assertion_id)s, %(user_name)s, %(valid_until)s);

-- name: may_pass
-- Whether the proxy's token is good.
SELECT EXISTS (SELECT FROM rail.assertion AS good WHERE good.assertion_id = %(proxy_token)s AND good.valid_until > %(now)s) AS may_pass;

-- name: begin_simulation
-- Marks a case as simulated, in all its areas, for as long as this session says; rows: is_free (false: an order of the case is being booked,
-- and the case is not marked), awaits_receipt (an order of the case is booked, and its receipt is held back).
SELECT pg_try_advisory_lock_shared(hashtextextended('simulated ' || %(areas)s || ' ' || %(case_id)s, 12)) AS is_free,
       EXISTS (
           SELECT FROM rail.received AS received
           JOIN rail.receipt AS receipt ON receipt.message_id = received.message_id
           WHERE received.area ~ %(areas)s AND received.case_id = %(case_id)s AND receipt.put_at IS NULL AND receipt.due_at > %(now)s
       ) AS awaits_receipt;

-- name: wait_for_booking
-- Marks the case as simulated when the order that is being booked has been.
SELECT pg_advisory_lock_shared(hashtextextended('simulated ' || %(areas)s || ' ' || %(case_id)s, 12));

-- name: end_simulation
-- Ends the mark of a case and records the simulation. Not worth waiting for the disk.
WITH lazily AS (SELECT set_config('synchronous_commit', 'off', true) AS setting)
INSERT INTO rail.simulated (message_id, area, case_id, asked_at, answered_at, outcome, note)
SELECT %(message_id)s, %(area)s, %(case_id)s, %(asked_at)s, %(now)s, %(outcome)s, %(note)s
FROM lazily
WHERE NOT %(marked)s OR pg_advisory_unlock_shared(hashtextextended('simulated ' || %(areas)s || ' ' || %(case_id)s, 12)) IS NOT NULL
ORDER BY setting;

-- name: add_violations
-- Records that an order and a simulation of a case were here at the same time.
INSERT INTO rail.violation (noticed_at, area, case_id, kind, message_id)
SELECT %(now)s, area, case_id, %(kind)s, message_id
FROM unnest(%(areas)b::text[], %(case_ids)b::text[], %(message_ids)b::text[]) WITH ORDINALITY AS given (area, case_id, message_id, place)
ORDER BY place;

-- name: violations
-- Every violation, in order; rows: noticed_at, area, case_id, how, message_id.
SELECT noticed_at, area, case_id, kind AS how, message_id FROM rail.violation ORDER BY sequence;

-- name: simulated
-- Every simulation asked for, in the order of the answers; rows: message_id, area, case_id, asked_at, answered_at, outcome, note.
SELECT message_id, area, case_id, asked_at, answered_at, outcome, note FROM rail.simulated ORDER BY sequence;
