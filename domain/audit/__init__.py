"""The audit log: append-only for everybody, linked to a chain afterwards, its heads signed and published."""

from domain.audit.append import append

__all__ = ["append"]
