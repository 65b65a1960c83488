-- What was published, byte for byte; `value` is NULL where it is a payment or an order that stands elsewhere, or a tombstone.
CREATE VIEW kvitt_views.published_texts AS
SELECT x.outbox_no, x.message_no, x.value, x.headers FROM public.outbox AS x;
COMMENT ON VIEW kvitt_views.published_texts IS 'Records of the outbox as they leave: personal data.';
