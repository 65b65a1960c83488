-- name: events
-- All that happened behind a place, newest first, of a kind if one is named.
SELECT at, what, text, message_no, order_id, receipt_no, request_no, approval_no, kind, place, no
FROM kvitt_views.case_timeline
WHERE case_no = %(case_no)s AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(at)s::timestamptz IS NULL OR (at, place, no) < (%(at)s, %(place)s::integer, %(no)s::bigint))
ORDER BY at DESC, place DESC, no DESC
LIMIT %(limit)s;

-- name: acts
-- What people did to what the case has, newest first, with what they were shown when it took two.
SELECT t.no AS seq, t.at, t.order_id, t.approval_no, a.asked_by, a.asked_name, a.decided_by, a.decided_name, a.effect
FROM kvitt_views.case_timeline AS t LEFT JOIN kvitt_views.approvals AS a ON a.approval_no = t.approval_no
WHERE t.case_no = %(case_no)s AND t.what = 'acted'
ORDER BY t.no DESC
LIMIT %(limit)s;
