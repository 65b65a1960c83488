-- name: notes
-- Notes on a case or on one of its orders, newest first.
SELECT note_no, order_id, written_at, written_by, name, text FROM kvitt_views.note_texts
WHERE case_no = %(case_no)s AND (%(order_id)s::uuid IS NULL OR order_id = %(order_id)s) ORDER BY note_no DESC LIMIT %(limit)s;

-- name: newest_notes
-- Who left the newest note on each of some cases.
SELECT c.case_no, n.written_at, n.name
FROM unnest(%(case_nos)s::bigint[]) AS c (case_no)
CROSS JOIN LATERAL (SELECT written_at, name FROM kvitt_views.note_texts WHERE case_no = c.case_no ORDER BY note_no DESC LIMIT 1) AS n;

-- name: add_note
-- Keeps a note, unless it is on an order that is not of the case; returns its number.
INSERT INTO console.case_notes (case_no, order_id, written_at, issuer, person, name, text)
SELECT %(case_no)s, %(order_id)s::uuid, %(now)s, %(issuer)s, %(person)s, %(name)s, %(text)s
WHERE %(order_id)s::uuid IS NULL OR EXISTS (SELECT FROM kvitt_views.orders WHERE order_id = %(order_id)s::uuid AND case_no = %(case_no)s)
RETURNING note_no;
