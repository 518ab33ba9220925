"""Record to `Message` or `Poison`: size, envelope, type, version, model. It never raises for what a producer did."""

import hashlib
from collections.abc import Mapping

from processors.shell.messages import Decoded, Message, Poison, Record
from schemas.envelope import CloudEvent, from_kafka
from schemas.errors import CasestreamError, PermanentError, UndecodableMessage
from schemas.models import Payload
from schemas.types import MODELS, parse


def decode(record: Record, interests: Mapping[str, type[Payload]], limit_bytes: int) -> Decoded:
    """A known type outside `interests` decodes to a message without payload, whose number still counts."""
    event: CloudEvent | None = None
    try:
        _check_size(record, limit_bytes)
        event = from_kafka(record.value, record.headers)
        _check_key(record, event)
        payload = parse(event) if event.type in interests or event.type not in MODELS else None
        return Message(record, event, payload)
    except Exception as error:  # noqa: BLE001 - whatever a producer sends ends as a parked row, never as a crash
        return poison(record, event.tenant if event else "", error)


def poison(record: Record, tenant_id: str, error: Exception) -> Poison:
    """Why a record is parked: the class of the error decides the reason, its place the fingerprint."""
    if isinstance(error, PermanentError):
        reason, text = error.reason, str(error)
    elif isinstance(error, CasestreamError):
        reason, text = type(error).__name__, str(error)
    else:
        # A foreign exception's text may quote a row or a payload: only its class is kept.
        reason, text = "error", type(error).__name__
    place = f"{reason}:{type(error).__name__}:{_place(error)}"
    return Poison(
        record, tenant_id, reason, hashlib.sha256(place.encode()).hexdigest()[:16], f"{text} at {_place(error)}"[:2000]
    )


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_globals.get('__name__', '?')}.{trace.tb_frame.f_code.co_name}"


def _check_size(record: Record, limit_bytes: int) -> None:
    if record.value is not None and len(record.value) > limit_bytes:
        raise UndecodableMessage(f"value of {len(record.value)} bytes is above the decode limit of {limit_bytes}")


def _check_key(record: Record, event: CloudEvent) -> None:
    if event.sequence is not None and not (event.partitionkey or event.subject):
        raise UndecodableMessage("a numbered event must name its aggregate in partitionkey or subject")
    if record.key is not None and event.partitionkey is not None and event.partitionkey.encode() != record.key:
        raise UndecodableMessage("ce_partitionkey differs from the record's key: order cannot be kept")
