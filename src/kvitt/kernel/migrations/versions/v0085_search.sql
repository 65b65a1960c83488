-- Ids are found by their beginning, and messages by their keys, however many there are.

-- In place of an index by the order of words: what has to be there once is the same, and a beginning is found whatever the locale.
DROP INDEX order_lines_new;
CREATE UNIQUE INDEX order_lines_new ON order_lines (line_id text_pattern_ops)
    WHERE ceased_from IS NULL AND NOT forwarded AND line_id NOT LIKE '%#%';
CREATE INDEX payouts_by_id ON payouts.payouts (payout_id text_pattern_ops);
CREATE INDEX parties_by_id ON parties.parties (party_id text_pattern_ops);
CREATE INDEX accounts_by_request ON ledger.accounts (request_key text_pattern_ops) WHERE request_key IS NOT NULL;

-- Says of each stretch of the table which keys it can not hold: some kilobytes for a million messages, and nearly nothing for one that comes in. A
-- stretch is taken up by autovacuum as soon as the next one begins.
CREATE INDEX messages_by_key ON messages USING brin (key bytea_bloom_ops (n_distinct_per_range = 1000)) WITH (pages_per_range = 64, autosummarize = on);
