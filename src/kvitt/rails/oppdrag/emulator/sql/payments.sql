-- What the rail has paid and what it would pay next. Arrays in, rows out.

-- name: persons_of_cases
-- The persons of the cases asked for that exist; rows: area, case_id, person.
SELECT known.area, known.case_id, known.person
FROM unnest(%(areas)b::text[], %(case_ids)b::text[]) AS asked (area, case_id)
JOIN rail.known_case AS known ON known.area = asked.area AND known.case_id = asked.case_id;

-- name: entries_of_cases
-- The entries of the cases asked for in the order of their effects, of orders received before a moment (null = all of them).
SELECT entry.area, entry.case_id, entry.chain, entry.line_id, entry.starts, entry.ends, entry.amount, entry.rate_code, entry.class_code,
       entry.decided_rate, entry.ceased_from, entry.payee, entry.grade
FROM unnest(%(areas)b::text[], %(case_ids)b::text[]) AS asked (area, case_id)
JOIN rail.entry AS entry ON entry.area = asked.area AND entry.case_id = asked.case_id
WHERE %(posted_before)s::timestamptz IS NULL
   OR (SELECT received.received_at FROM rail.received AS received WHERE received.message_id = entry.message_id) < %(posted_before)s
ORDER BY entry.sequence;

-- name: paid_of_cases
-- What was paid on the cases asked for; rows: area, case_id, and the fields of a day's money.
SELECT paid.area, paid.case_id, paid.day, paid.until, paid.line_id, paid.class_code, paid.rate_code, paid.payee, paid.amount, paid.grade
FROM unnest(%(areas)b::text[], %(case_ids)b::text[]) AS asked (area, case_id)
JOIN rail.paid AS paid ON paid.area = asked.area AND paid.case_id = asked.case_id;

-- name: recoveries_of_cases
-- What is under recovery on the cases asked for; rows: area, case_id, payee, day, class_code, amount.
SELECT recovery.area, recovery.case_id, recovery.payee, recovery.day, recovery.class_code, recovery.amount
FROM unnest(%(areas)b::text[], %(case_ids)b::text[]) AS asked (area, case_id)
JOIN rail.recovery AS recovery ON recovery.area = asked.area AND recovery.case_id = asked.case_id;

-- name: cases_after
-- The next cases by area and case id; rows: area, case_id.
SELECT area, case_id
FROM rail.known_case
WHERE (area, case_id) > (%(area)s, %(case_id)s)
ORDER BY area, case_id
LIMIT %(limit)s;

-- name: last_run
-- The day of the newest payment run; null when there was none.
SELECT max(day) AS day FROM rail.payment_run;

-- name: lock_runs
-- Keeps other payment runs away until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('payment run', 13));

-- name: add_run
-- Notes that a payment run was played.
INSERT INTO rail.payment_run (day, played_at) VALUES (%(day)s, %(now)s) ON CONFLICT (day) DO UPDATE SET played_at = EXCLUDED.played_at;

-- name: forget_paid
-- Takes away what was paid on cases, to be written anew.
DELETE FROM rail.paid AS paid
USING unnest(%(areas)b::text[], %(case_ids)b::text[]) AS changed (area, case_id)
WHERE paid.area = changed.area AND paid.case_id = changed.case_id;

-- name: add_paid
-- Writes what is paid.
INSERT INTO rail.paid (area, case_id, line_id, day, until, class_code, rate_code, payee, amount, grade)
SELECT area, case_id, line_id, day, until, class_code, rate_code, payee, amount, grade
FROM unnest(%(areas)b::text[], %(case_ids)b::text[], %(line_ids)b::text[], %(days)b::date[], %(untils)b::date[], %(class_codes)b::text[],
            %(rate_codes)b::text[], %(payees)b::text[], %(amounts)b::bigint[], %(grades)b::integer[])
     AS given (area, case_id, line_id, day, until, class_code, rate_code, payee, amount, grade);

-- name: put_recoveries
-- Writes how much is under recovery now; the arrays hold each place once.
INSERT INTO rail.recovery (area, case_id, payee, day, class_code, amount)
SELECT area, case_id, payee, day, class_code, amount
FROM unnest(%(areas)b::text[], %(case_ids)b::text[], %(payees)b::text[], %(days)b::date[], %(class_codes)b::text[], %(amounts)b::bigint[])
     AS given (area, case_id, payee, day, class_code, amount)
WHERE amount > 0
ON CONFLICT (area, case_id, payee, day, class_code) DO UPDATE SET amount = EXCLUDED.amount;

-- name: end_recoveries
-- Takes away recoveries of which nothing is left.
DELETE FROM rail.recovery AS recovery
USING unnest(%(areas)b::text[], %(case_ids)b::text[], %(payees)b::text[], %(days)b::date[], %(class_codes)b::text[], %(amounts)b::bigint[])
      AS given (area, case_id, payee, day, class_code, amount)
WHERE given.amount = 0 AND recovery.area = given.area AND recovery.case_id = given.case_id AND recovery.payee = given.payee
  AND recovery.day = given.day AND recovery.class_code = given.class_code;

-- name: add_run_rows
-- Writes the rows that a run posts, in the order of the arrays.
INSERT INTO rail.run_row (run_day, area, case_id, payee, first, last, row_type, class_code, amount, line_id, is_reversal)
SELECT %(day)s, area, case_id, payee, first, last, row_type, class_code, amount, line_id, is_reversal
FROM unnest(%(areas)b::text[], %(case_ids)b::text[], %(payees)b::text[], %(firsts)b::date[], %(lasts)b::date[], %(row_types)b::text[],
            %(class_codes)b::text[], %(amounts)b::bigint[], %(line_ids)b::text[], %(reversals)b::boolean[])
     WITH ORDINALITY AS given (area, case_id, payee, first, last, row_type, class_code, amount, line_id, is_reversal, place)
ORDER BY place;

-- name: run_rows
-- What the runs posted on a case, in order; rows: run_day, payee, first, last, row_type, class_code, amount, line_id, is_reversal.
SELECT run_day, payee, first, last, row_type, class_code, amount, line_id, is_reversal
FROM rail.run_row
WHERE area = %(area)s AND case_id = %(case_id)s
ORDER BY sequence;

-- name: withholdings
-- What is held back from persons; rows: person, tax_percent, deduction_class, deduction_kroner.
SELECT person, tax_percent, deduction_class, deduction_kroner
FROM rail.withholding
WHERE person = ANY (%(persons)b::text[]);

-- name: put_withholding
-- Sets what is held back from a person.
INSERT INTO rail.withholding (person, tax_percent, deduction_class, deduction_kroner)
VALUES (%(person)s, %(tax_percent)s, %(deduction_class)s, %(deduction_kroner)s)
ON CONFLICT (person) DO UPDATE
SET tax_percent = EXCLUDED.tax_percent, deduction_class = EXCLUDED.deduction_class, deduction_kroner = EXCLUDED.deduction_kroner;
