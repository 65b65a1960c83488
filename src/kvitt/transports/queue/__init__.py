"""The queue port and its adapters: a table, STOMP, IBM MQ."""
