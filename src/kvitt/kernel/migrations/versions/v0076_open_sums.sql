-- A view of open orders that reads nothing but orders, for sums of many of them; and what is stuck finds payouts by their index.

-- Nothing holds an order that is free: it leaves when its rail is open, unless sending is stopped there.
CREATE VIEW kvitt_views.open_sums AS
SELECT o.rail, o.area, o.state, o.held_for = '[]' AS is_free, coalesce(o.sent_at, o.made_at) AS since, o.sum_kroner
FROM public.orders AS o WHERE o.state IN ('ready', 'sending', 'sent', 'unknown');

-- A step of a payout is open in these states and in no other.
DO $$
DECLARE
    before constant text := pg_get_viewdef('kvitt_views.stuck'::regclass);
    after  constant text := replace(before, '(s.closed_at IS NULL)', '(s.state IN (''forward'', ''compensating''))');
BEGIN
    ASSERT before <> after, 'the view of what is stuck was another one';
    EXECUTE 'CREATE OR REPLACE VIEW kvitt_views.stuck AS ' || after;
END
$$;
