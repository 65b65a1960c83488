-- The reasons why an order is held are values: their kind, what they say to a person, and what they are about. What said it in words only
-- says it in both ways from now on; few orders are held, so they are changed here.

ALTER TABLE orders RENAME COLUMN held_for TO held_for_text;
ALTER TABLE orders ADD COLUMN held_for jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN orders.held_for IS 'Why a ready order may not be sent, a list of {kind, text, …}; [] = nothing holds it.';

UPDATE orders AS o
SET held_for = (
    SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
               'kind', w.kind, 'text', w.text, 'class_code', t.m[1], 'first_day', coalesce(t.m[2], t.m[3]), 'last_day', coalesce(t.m[2], t.m[4]),
               'sources', to_jsonb(ARRAY[t.m[6], t.m[8]]), 'amounts_kroner', to_jsonb(ARRAY[t.m[5]::bigint, t.m[7]::bigint]),
               'payment_id', u.m[1], 'more', to_jsonb(f.m[1]::integer)
           )) - CASE WHEN t.m IS NULL THEN ARRAY['sources', 'amounts_kroner'] ELSE '{}' END ORDER BY r.place)
    FROM unnest(o.held_for_text) WITH ORDINALITY AS r (reason, place)
    CROSS JOIN LATERAL (SELECT split_part(r.reason, ': ', 1) AS kind, substr(r.reason, strpos(r.reason, ': ') + 2) AS text) AS w
    LEFT JOIN LATERAL regexp_match(
        CASE w.kind WHEN 'paid_twice' THEN w.text END, '^(\S+) (?:on (\S+)|from (\S+) to (\S+)): (-?\d+) by (.*), and (-?\d+) by (.*)$'
    ) AS t (m) ON true
    LEFT JOIN LATERAL regexp_match(CASE w.kind WHEN 'unknown_payment' THEN w.text END, '^payment (\S+) was listed') AS u (m) ON true
    LEFT JOIN LATERAL regexp_match(CASE w.kind WHEN 'paid_twice' THEN w.text END, '^and (\d+) more like these') AS f (m) ON true
)
WHERE o.held_for_text <> '{}';

ALTER TABLE orders DROP COLUMN held_for_text;
