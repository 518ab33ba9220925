"""Onboarding: what deciding costs without a database, and durable steps a second beside peers (B6)."""
