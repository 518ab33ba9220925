"""Outbox table -> Kafka, by the floor method (docs/explanation/outbox-and-relay.md). Knows no business type."""
