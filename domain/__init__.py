"""The subjects: one folder each, with pure decisions, the subject's SQL store, and commands that take a connection."""
