-- The rail's judgement of reconciliation. Arrays in, rows out.

-- name: try_turn
-- Keeps the other emulators from messages of reconciliation, which are read in their order; false when another one has them.
SELECT pg_try_advisory_lock(hashtextextended('reconciliation', 14));

-- name: end_turn
-- Lets others go on.
SELECT pg_advisory_unlock(hashtextextended('reconciliation', 14));

-- name: add_messages
-- Keeps messages in the order of the arrays; which of them came for the first time. A message that came again is counted.
WITH given AS MATERIALIZED (
    SELECT *
    FROM unnest(%(message_ids)b::text[], %(digests)b::bytea[], %(bodies)b::bytea[], %(run_ids)b::text[], %(actions)b::text[],
                %(fields)b::text[], %(totals)b::text[], %(items)b::integer[], %(problems)b::text[])
         WITH ORDINALITY AS given (message_id, digest, body, run_id, action, fields, totals, items, problem, place)
), again AS (
    UPDATE rail.reconciliation_message AS message
    SET repeats = message.repeats + 1
    FROM given
    WHERE message.message_id = given.message_id AND message.digest = given.digest
    RETURNING message.message_id, message.digest
)
INSERT INTO rail.reconciliation_message (message_id, digest, received_at, body, run_id, action, fields, totals, items, problem)
SELECT message_id, digest, %(now)s, body, run_id, action, fields::jsonb, totals::jsonb, items, problem
FROM given
WHERE NOT EXISTS (SELECT FROM again WHERE again.message_id = given.message_id AND again.digest = given.digest)
ORDER BY place
RETURNING message_id;

-- name: add_runs
-- Opens runs that were not heard of before, in the order of the arrays.
INSERT INTO rail.reconciliation (run_id, kind, area, component, first_key, last_key, first_rank, last_rank, began_at)
SELECT DISTINCT ON (run_id) run_id, kind, area, component, first_key, last_key, first_rank, last_rank, %(now)s
FROM unnest(%(run_ids)b::text[], %(kinds)b::text[], %(areas)b::text[], %(components)b::text[], %(first_keys)b::text[],
            %(last_keys)b::text[], %(first_ranks)b::text[], %(last_ranks)b::text[])
     WITH ORDINALITY AS given (run_id, kind, area, component, first_key, last_key, first_rank, last_rank, place)
ORDER BY run_id, place
ON CONFLICT (run_id) DO NOTHING;

-- name: add_details
-- Keeps the orders that runs say something of, in the order of the arrays.
INSERT INTO rail.reported_order (run_id, kind, person, case_id, code, severity, text, made)
SELECT run_id, kind, person, case_id, code, severity, text, made
FROM unnest(%(run_ids)b::text[], %(kinds)b::text[], %(persons)b::text[], %(case_ids)b::text[], %(codes)b::text[], %(severities)b::text[],
            %(texts)b::text[], %(made)b::text[])
     WITH ORDINALITY AS given (run_id, kind, person, case_id, code, severity, text, made, place)
ORDER BY place;

-- name: add_lines
-- Keeps the lines that runs believe to be in force.
INSERT INTO rail.reported_line (run_id, case_id, line_id, starts, ends, kroner, rate_code)
SELECT run_id, case_id, line_id, starts, ends, kroner, rate_code
FROM unnest(%(run_ids)b::text[], %(case_ids)b::text[], %(line_ids)b::text[], %(starts)b::date[], %(ends)b::date[], %(kroner)b::bigint[],
            %(rate_codes)b::text[])
     WITH ORDINALITY AS given (run_id, case_id, line_id, starts, ends, kroner, rate_code, place)
ORDER BY place;

-- name: ended_runs
-- Those of the runs that have had their last message.
SELECT run_id FROM rail.reconciliation WHERE run_id = ANY (%(run_ids)b::text[]) AND ended_at IS NOT NULL;

-- name: end_run
-- Notes that a run has had its last message; rows: kind, area, component, first_key, last_key, first_rank, last_rank.
UPDATE rail.reconciliation
SET ended_at = %(now)s
WHERE run_id = %(run_id)s
RETURNING kind, area, component, first_key, last_key, first_rank, last_rank;

-- name: add_differences
-- Records differences, in the order of the arrays.
INSERT INTO rail.reconciliation_difference (run_id, kind, case_id, about, expected, found)
SELECT run_id, kind, case_id, about, expected, found
FROM unnest(%(run_ids)b::text[], %(kinds)b::text[], %(case_ids)b::text[], %(abouts)b::text[], %(expecteds)b::text[], %(founds)b::text[])
     WITH ORDINALITY AS given (run_id, kind, case_id, about, expected, found, place)
ORDER BY place;

-- name: shape
-- The messages of a run, counted; rows: starts, ends, first_action, last_action, datas, items.
SELECT count(*) FILTER (WHERE action = 'START') AS starts, count(*) FILTER (WHERE action = 'AVSL') AS ends,
       (array_agg(action ORDER BY sequence))[1] AS first_action, (array_agg(action ORDER BY sequence DESC))[1] AS last_action,
       count(*) FILTER (WHERE action = 'DATA') AS datas, coalesce(sum(items), 0)::bigint AS items
FROM rail.reconciliation_message
WHERE run_id = %(run_id)s;

-- name: long_messages
-- The messages of a run with more details than one may have; rows: message_id, items.
SELECT message_id, items FROM rail.reconciliation_message WHERE run_id = %(run_id)s AND items > %(most)s ORDER BY sequence;

-- name: messages_twice
-- The messages of a run that came under more than one id; rows: message_id, items (how often).
SELECT min(message_id) AS message_id, count(*)::integer AS items
FROM rail.reconciliation_message
WHERE run_id = %(run_id)s
GROUP BY digest
HAVING count(*) > 1
ORDER BY 1;

-- name: uneven_fields
-- The fields that are not the same in all messages of a run; rows: about, expected, found.
SELECT field.key AS about, (array_agg(field.value ORDER BY message.sequence))[1] AS expected,
       (array_agg(field.value ORDER BY message.sequence DESC))[1] AS found
FROM rail.reconciliation_message AS message
CROSS JOIN LATERAL jsonb_each_text(message.fields) AS field
WHERE message.run_id = %(run_id)s
GROUP BY field.key
HAVING count(DISTINCT field.value) > 1
ORDER BY field.key;

-- name: stated_totals
-- The messages of a run that have totals; rows: totals (JSON text), items, place (of all with DATA), datas.
SELECT totals::text AS totals, items, place, datas
FROM (
    SELECT totals, items, row_number() OVER (ORDER BY sequence) AS place, count(*) OVER () AS datas
    FROM rail.reconciliation_message
    WHERE run_id = %(run_id)s AND action = 'DATA'
) AS message
WHERE totals IS NOT NULL
ORDER BY place;

-- name: same_range
-- The runs before this one that were over some of the same keys of an area; of numbers, over the very same.
SELECT earlier.run_id
FROM rail.reconciliation AS run
JOIN rail.reconciliation AS earlier
  ON earlier.area = run.area AND earlier.kind = run.kind AND earlier.component = run.component AND earlier.sequence < run.sequence
WHERE run.run_id = %(run_id)s AND earlier.ended_at IS NOT NULL
  AND CASE WHEN run.first_rank LIKE 'n%%' THEN earlier.first_rank = run.first_rank AND earlier.last_rank = run.last_rank
           ELSE earlier.first_rank <= run.last_rank AND earlier.last_rank >= run.first_rank END
ORDER BY earlier.sequence;

-- name: other_components
-- The senders, other than the run's, of orders of its area with keys in its range.
SELECT DISTINCT received.component
FROM rail.reconciliation AS run
JOIN rail.received AS received ON received.area = run.area AND received.key BETWEEN run.first_rank AND run.last_rank
WHERE run.run_id = %(run_id)s AND received.component <> run.component
ORDER BY 1;

-- name: judge_orders
-- Compares a run with the orders that the rail has by its own records, and records where they differ; returns how many orders those are.
--
-- An order that came under several ids with the same bytes is one, and counts by the newest answer that was sent before the run began. In a run
-- over numbers, orders that an earlier run has covered are no more expected, save once: those that it had without an answer, and that have one.
WITH run AS MATERIALIZED (
    SELECT * FROM rail.reconciliation WHERE run_id = %(run_id)s
), sent AS MATERIALIZED (
    SELECT DISTINCT ON (received.digest)
           received.key, received.case_id, received.person, received.kroner, received.made, received.received_at, answer.answered_at,
           received.severity, coalesce(received.code, '') AS code, CASE WHEN received.code IS NULL THEN '' ELSE received.note END AS text
    FROM run
    JOIN rail.received AS received ON received.area = run.area AND received.key BETWEEN run.first_rank AND run.last_rank
    LEFT JOIN LATERAL (
        SELECT min(receipt.put_at) AS answered_at
        FROM rail.receipt AS receipt
        WHERE receipt.message_id = received.message_id AND receipt.digest = received.digest AND receipt.put_at <= run.began_at
    ) AS answer ON true
    WHERE received.component = run.component AND received.outcome <> 'lost'
    ORDER BY received.digest, answer.answered_at IS NULL, received.received_at DESC
), expected AS MATERIALIZED (
    SELECT sent.case_id, sent.person, sent.kroner, sent.made, sent.code, sent.severity, sent.text,
           CASE WHEN sent.answered_at IS NULL THEN 'mangler' WHEN sent.severity = '00' THEN 'godkjent' WHEN sent.severity = '04' THEN 'varsel'
                WHEN sent.severity IN ('08', '12') THEN 'avvist' ELSE 'mangler' END AS bucket,
           row_number() OVER (PARTITION BY sent.case_id, sent.made ORDER BY sent.key) AS n
    FROM sent
    CROSS JOIN run
    WHERE run.first_rank LIKE 't%%'
       OR NOT EXISTS (
              SELECT FROM rail.reconciliation AS earlier
              WHERE earlier.area = run.area AND earlier.kind = run.kind AND earlier.component = run.component AND earlier.ended_at IS NOT NULL
                AND earlier.sequence < run.sequence AND sent.key BETWEEN earlier.first_rank AND earlier.last_rank
                AND earlier.began_at >= sent.received_at
          )
       OR (sent.answered_at IS NOT NULL AND EXISTS (
              SELECT FROM rail.reported_order AS reported
              JOIN rail.reconciliation AS without ON without.run_id = reported.run_id
              WHERE reported.case_id = sent.case_id AND reported.made = sent.made AND reported.kind = 'MANG'
                AND without.area = run.area AND without.sequence < run.sequence
                AND NOT EXISTS (
                    SELECT FROM rail.reconciliation AS later
                    WHERE later.area = run.area AND later.kind = run.kind AND later.component = run.component
                      AND later.ended_at IS NOT NULL AND later.sequence > without.sequence AND later.sequence < run.sequence
                      AND sent.key BETWEEN later.first_rank AND later.last_rank AND later.began_at >= sent.answered_at
                )
          ))
), listed AS MATERIALIZED (
    SELECT reported.*, row_number() OVER (PARTITION BY reported.case_id, reported.made ORDER BY reported.sequence) AS n
    FROM rail.reported_order AS reported
    WHERE reported.run_id = %(run_id)s
), pair AS MATERIALIZED (
    SELECT case_id, made, n, own.bucket, own.person, own.code, own.severity, own.text,
           their.kind, their.person AS their_person, their.code AS their_code, their.severity AS their_severity, their.text AS their_text
    FROM expected AS own
    FULL JOIN listed AS their USING (case_id, made, n)
), own_alone AS (
    SELECT *, row_number() OVER (PARTITION BY case_id ORDER BY made, n) AS place FROM pair WHERE kind IS NULL AND bucket <> 'godkjent'
), their_alone AS (
    SELECT *, row_number() OVER (PARTITION BY case_id ORDER BY made, n) AS place FROM pair WHERE bucket IS NULL
), alone AS (
    SELECT case_id, own.made, own.bucket, their.made AS their_made, their.kind,
           EXISTS (SELECT FROM expected AS known WHERE known.case_id = their.case_id AND known.made = their.made) AS is_known
    FROM own_alone AS own
    FULL JOIN their_alone AS their USING (case_id, place)
), stated AS (
    SELECT * FROM unnest(%(buckets)b::text[], %(counts)b::bigint[], %(sums)b::bigint[], %(signs)b::text[]) AS given (bucket, count, kroner, sign)
), own_total AS (
    SELECT bucket, count(*) AS count, coalesce(sum(kroner), 0) AS kroner FROM expected GROUP BY bucket
    UNION ALL
    SELECT 'total', count(*), coalesce(sum(kroner), 0) FROM expected
), total AS (
    SELECT stated.bucket, stated.count AS their_count, stated.kroner AS their_kroner, stated.sign, coalesce(own.count, 0) AS count,
           coalesce(own.kroner, 0) AS kroner
    FROM stated
    LEFT JOIN own_total AS own USING (bucket)
), difference AS (
    SELECT 1 AS part, 'count' AS kind, '' AS case_id, bucket AS about, count::text AS expected, their_count::text AS found
    FROM total
    WHERE their_count <> count
    UNION ALL
    SELECT 2, 'sum', '', bucket, kroner::text, coalesce(their_kroner::text, 'none')
    FROM total
    WHERE CASE WHEN their_kroner IS NULL THEN count > 0 ELSE abs(their_kroner) <> abs(kroner) END
    UNION ALL
    SELECT 3, 'sign', '', bucket, CASE WHEN kroner < 0 THEN 'F' ELSE 'T' END, sign
    FROM total
    WHERE abs(their_kroner) = abs(kroner) AND sign <> CASE WHEN kroner < 0 THEN 'F' ELSE 'T' END
    UNION ALL
    SELECT 4, CASE WHEN kind = 'MANG' THEN 'missing though answered' WHEN bucket = 'mangler' THEN 'no answer was sent' ELSE 'answered otherwise' END,
           case_id, made, bucket, kind
    FROM pair
    WHERE bucket IS NOT NULL AND kind <> CASE bucket WHEN 'varsel' THEN 'VARS' WHEN 'avvist' THEN 'AVVI' WHEN 'mangler' THEN 'MANG' ELSE 'none' END
    UNION ALL
    SELECT 5, 'detail', pair.case_id, field.name, field.own, field.their
    FROM pair
    CROSS JOIN LATERAL (
        VALUES ('person', pair.person, pair.their_person),
               ('code', CASE pair.kind WHEN 'MANG' THEN '' ELSE pair.code END, pair.their_code),
               ('severity', CASE pair.kind WHEN 'MANG' THEN '' ELSE pair.severity END, pair.their_severity),
               ('text', CASE pair.kind WHEN 'MANG' THEN '' ELSE btrim(pair.text) END, pair.their_text)
    ) AS field (name, own, their)
    WHERE pair.kind = CASE pair.bucket WHEN 'varsel' THEN 'VARS' WHEN 'avvist' THEN 'AVVI' WHEN 'mangler' THEN 'MANG' ELSE 'none' END
      AND field.own <> field.their
    UNION ALL
    SELECT 6, 'no detail', case_id, made, bucket, 'none'
    FROM alone
    WHERE kind IS NULL
    UNION ALL
    SELECT 7, CASE WHEN bucket IS NOT NULL THEN 'detail' WHEN is_known THEN 'detail twice' ELSE 'reported, not received' END, case_id,
           CASE WHEN bucket IS NULL THEN their_made ELSE 'time' END, coalesce(made, 'none'), CASE WHEN bucket IS NULL THEN kind ELSE their_made END
    FROM alone
    WHERE kind IS NOT NULL
), recorded AS (
    INSERT INTO rail.reconciliation_difference (run_id, kind, case_id, about, expected, found)
    SELECT %(run_id)s, kind, case_id, about, expected, found FROM difference ORDER BY part, case_id, about
)
SELECT count(*) FROM expected;

-- name: entries_of_area
-- The entries of an area by case in the order of their effects, of orders received up to a moment; rows as in entries_of_case.
SELECT entry.area, entry.case_id, entry.chain, entry.line_id, entry.starts, entry.ends, entry.amount, entry.rate_code, entry.class_code,
       entry.decided_rate, entry.ceased_from, entry.payee, entry.grade
FROM rail.entry AS entry
JOIN rail.received AS received ON received.message_id = entry.message_id
WHERE entry.area = %(area)s AND received.received_at <= %(at)s
ORDER BY entry.case_id, entry.sequence;

-- name: reported_lines
-- The lines of a run, by case; rows: case_id, line_id, starts, ends, kroner, rate_code.
SELECT case_id, line_id, starts, ends, kroner, rate_code FROM rail.reported_line WHERE run_id = %(run_id)s ORDER BY case_id, sequence;

-- name: sum_of_lines
-- The sum of the amounts of a run's lines.
SELECT coalesce(sum(kroner), 0)::text FROM rail.reported_line WHERE run_id = %(run_id)s;

-- name: runs
-- Runs, in the order in which they began; rows: run_id, kind, area, component, first_key, last_key, began_at, ended_at, messages, repeats.
SELECT run.run_id, run.kind, run.area, run.component, run.first_key, run.last_key, run.began_at, run.ended_at,
       count(*) AS messages, coalesce(sum(message.repeats), 0)::bigint AS repeats
FROM rail.reconciliation AS run
LEFT JOIN rail.reconciliation_message AS message ON message.run_id = run.run_id
WHERE %(run_id)s::text IS NULL OR run.run_id = %(run_id)s
GROUP BY run.sequence
ORDER BY run.sequence;

-- name: differences
-- Where runs differ, in the order in which that was found; rows: run_id, kind, case_id, about, expected, found.
SELECT run_id, kind AS what, case_id, about, expected, found
FROM rail.reconciliation_difference
WHERE %(run_id)s::text IS NULL OR run_id = %(run_id)s
ORDER BY sequence;
