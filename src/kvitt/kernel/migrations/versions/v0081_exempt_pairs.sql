-- Cases that hold no orders of each other, by the word of two people, for pages and queries; and found by the order that was released.

CREATE INDEX exempt_pairs_of_order ON exempt_pairs (order_id);

CREATE VIEW kvitt_views.exempt_pairs AS
SELECT x.case_no, c.scheme, c.case_id, x.other_case_no, o.scheme AS other_scheme, o.case_id AS other_case_id, x.class_code, x.order_id
FROM public.exempt_pairs AS x
JOIN public.cases AS c ON c.case_no = x.case_no
JOIN public.cases AS o ON o.case_no = x.other_case_no;
