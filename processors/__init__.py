"""The Kafka doors: one module per consumer group, all run by the one batch shell. No SQL of another subject, no producing."""
