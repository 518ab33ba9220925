"""Tenants, users and teams: who may be named, and who is active."""
