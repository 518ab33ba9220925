"""The outbox: how every subject says what happened. The relay, which empties it, lives in `outbox_relay`."""

from domain.outbox.append import Origin, Outbox, OutboxEvent, record_key

__all__ = ["Origin", "Outbox", "OutboxEvent", "record_key"]
