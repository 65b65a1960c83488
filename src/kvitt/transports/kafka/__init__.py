"""Kafka, in and out."""
