"""Real brokers for tests and demos: Apache Kafka and Apache ActiveMQ Artemis, run from Maven Central's jars.

No part of the product: kvitt itself never starts a broker other than its own embedded log and queue.
"""
