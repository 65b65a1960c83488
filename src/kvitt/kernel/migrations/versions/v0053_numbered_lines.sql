-- Lines of decisions are numbered through their case (`case#7`), so two cases that two schemes call alike have equal line ids.

ALTER TABLE cases ADD COLUMN numbered integer NOT NULL DEFAULT 0 CHECK (numbered BETWEEN 0 AND 10000);
COMMENT ON COLUMN cases.numbered IS 'How many numbers of lines its orders have used up, whatever became of them; none of them comes again.';

CREATE UNIQUE INDEX order_lines_numbered ON order_lines (payment_id, line_id)
WHERE ceased_from IS NULL AND NOT forwarded AND line_id LIKE '%#%';
COMMENT ON INDEX order_lines_numbered IS 'A numbered line is made once in its payment, which is of one case.';
DROP INDEX order_lines_new;
CREATE UNIQUE INDEX order_lines_new ON order_lines (line_id) WHERE ceased_from IS NULL AND NOT forwarded AND line_id NOT LIKE '%#%';
COMMENT ON INDEX order_lines_new IS 'A line id of ours is made once, in all cases and for ever: the rail takes it for the same line otherwise.';

CREATE OR REPLACE VIEW kvitt_views.payment_periods AS
SELECT p.case_no, c.scheme, c.case_id, p.payment_id, p.version, p.area, d.doc ->> 'benefit' AS benefit,
       coalesce(e.period ->> 'rate_type', d.doc ->> 'rate_type') AS rate_type,
       (e.period ->> 'start')::date AS start_on, (e.period ->> 'end')::date AS end_on, (e.period ->> 'amount_kroner')::bigint AS amount_kroner,
       (e.period ->> 'decided_rate_kroner')::bigint AS decided_rate_kroner, e.period ->> 'office' AS office, e.period ->> 'line' AS line_id
FROM public.payments AS p
JOIN public.cases AS c ON c.case_no = p.case_no
CROSS JOIN LATERAL (SELECT convert_from(p.document, 'UTF8')::jsonb AS doc OFFSET 0) AS d
CROSS JOIN LATERAL jsonb_array_elements(d.doc -> 'periods') AS e (period)
WHERE p.state = 'accepted' AND NOT p.superseded AND p.action <> 'DELETE';
