-- Where an operator has said that reading begins, and which topics the stored positions belong to.

CREATE TABLE source_topics (
    topic    text PRIMARY KEY,
    topic_id text NOT NULL
);
COMMENT ON TABLE source_topics IS 'The id that the brokers gave an input topic: one that was made anew under the same name has another.';

CREATE TABLE beginnings (
    lease    text        PRIMARY KEY,
    position bigint      NOT NULL,
    shift    bigint      NOT NULL,
    begun_at timestamptz NOT NULL
);
COMMENT ON TABLE beginnings IS 'Where an operator has said that a partition begins for us; the lease goes on from there.';
COMMENT ON COLUMN beginnings.shift IS 'Added to the brokers'' offsets: records of a topic that was made anew must not have the positions of earlier ones.';
