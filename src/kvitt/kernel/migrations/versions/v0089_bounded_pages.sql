-- Pages look through no more than they show. What people did is found by its kind, as what was released or refused, and what somebody asked for
-- by its number.

CREATE INDEX audit_by_kind ON audit (what, seq) WHERE chain = 0;
CREATE INDEX approvals_of_asker ON approvals (asked_issuer, asked_by, approval_no);

-- Of many open orders those are added up that came first.
CREATE OR REPLACE VIEW kvitt_views.open_sums AS
SELECT o.rail, o.area, o.state, o.held_for = '[]' AS is_free, coalesce(o.sent_at, o.made_at) AS since, o.sum_kroner, o.message_no
FROM public.orders AS o WHERE o.state IN ('ready', 'sending', 'sent', 'unknown');
