"""The audit log: append-only for everybody."""

from domain.audit.append import append

__all__ = ["append"]
