-- What a rail says of an order that it simulates is a free text, and may name a person: it is read in a view of its own. The others say in a
-- word why an order waits or is held.

-- The reasons for which an order is held, without the words of its rail.
CREATE OR REPLACE VIEW kvitt_views.orders AS
SELECT o.order_id, o.case_no, c.scheme, c.case_id, o.number, o.rail, o.area, o.state, o.message_no, o.is_first_order, o.day, o.sum_kroner,
       (SELECT count(*) FROM public.order_lines AS l WHERE l.order_id = o.order_id) AS lines,
       o.held_for <> '[]' AND (o.held_for @? '$[*] ? (@.kind != "unchecked")'
                               OR EXISTS (SELECT FROM public.order_checks AS k
                                          WHERE k.order_id = o.order_id AND k.ended_at IS NULL AND k.times_asked >= 12)) AS is_held,
       CASE WHEN o.held_for @? '$[*] ? (@.kind == "simulation_refused")'
            THEN (SELECT jsonb_agg(CASE r.reason ->> 'kind' WHEN 'simulation_refused'
                                                            THEN jsonb_set(r.reason, '{text}', '"it can not be simulated"') ELSE r.reason END
                                   ORDER BY r.place)
                  FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place))
            ELSE o.held_for END AS held_for,
       o.made_at, o.sending_at, o.sent_at, o.settled_at, o.resends, o.was_unknown, o.decided_by_hand, o.taken_back, o.receipt_no,
       (SELECT k.rails FROM public.contradictions AS k WHERE k.order_id = o.order_id AND k.resolved_at IS NULL) AS rail_says
FROM public.orders AS o JOIN public.cases AS c ON c.case_no = o.case_no;

-- waits_for, note: why there is no answer, in a word of kvitt's, or the status of the answer that was none.
CREATE OR REPLACE VIEW kvitt_views.order_checks AS
SELECT k.order_id, k.case_no, c.scheme, c.case_id, o.area, o.state, k.mode, k.most_recovered AS most_recovered_kroner, k.waits, k.made_at,
       k.times_asked, k.due_at, CASE WHEN k.waits_for IS NOT NULL THEN coalesce(s.reason, 'not asked') END AS waits_for, k.ended_at, k.finding,
       k.request_no, k.recovered AS recovered_kroner, CASE WHEN k.note <> '' THEN coalesce(s.reason, 'not asked') END AS note
FROM public.order_checks AS k
JOIN public.orders AS o ON o.order_id = k.order_id
JOIN public.cases AS c ON c.case_no = k.case_no
LEFT JOIN LATERAL (
    SELECT coalesce(q.reason, r.reason, 'answer ' || q.status) AS reason
    FROM public.simulation_requests AS r JOIN public.simulation_questions AS q ON q.request_no = r.request_no
    WHERE r.message_no = k.message_no AND r.asker = 'check' AND q.order_id = k.order_id AND r.ended_at IS NOT NULL
    ORDER BY r.request_no DESC
    LIMIT 1
) AS s ON true;

CREATE VIEW kvitt_views.order_check_texts AS
SELECT k.order_id, k.case_no, c.scheme, c.case_id, k.waits_for, k.note, k.refusal
FROM public.order_checks AS k JOIN public.cases AS c ON c.case_no = k.case_no
WHERE k.waits_for <> '' OR k.note <> '' OR k.refusal <> '';
COMMENT ON VIEW kvitt_views.order_check_texts IS 'What rails said of orders that they simulated, in their own words: may be personal data.';
