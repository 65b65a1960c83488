-- A status of a decision of the first form is asked for by its own id alone. No other message has an entry in this index.
CREATE INDEX messages_of_decisions ON messages (source, key) WHERE source LIKE 'rest.iverksetting.%';
