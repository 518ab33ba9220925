"""Record to `Message` or `Poison`: size, envelope, type, version, model. It never raises for what a producer did."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from processors.shell.messages import MAX_KEY_BYTES, Decoded, Message, Poison, Record
from schemas.envelope import CloudEvent, from_kafka
from schemas.errors import CasestreamError, PermanentError, UndecodableMessage
from schemas.models import Payload
from schemas.types import MODELS, parse


def decode(record: Record, interests: Mapping[str, type[Payload]], limit_bytes: int) -> Decoded:
    """A known type outside `interests` decodes to a message without payload, whose number still counts."""
    event: CloudEvent | None = None
    try:
        if problem := _size_problem(record, limit_bytes):
            # In binary mode the headers alone tell whose number or identity a discard must count as seen.
            with suppress(UndecodableMessage):
                event = _believed(record, from_kafka(b"", record.headers))
            raise UndecodableMessage(problem)
        read = from_kafka(record.value, record.headers)
        event = _believed(record, read)
        if event is not read:
            raise UndecodableMessage(_key_problem(record, read))
        payload = parse(event) if event.type in interests or event.type not in MODELS else None
        return Message(record, event, payload)
    except Exception as error:  # noqa: BLE001 - whatever a producer sends ends as a parked row, never as a crash
        return poison(record, event, error)


def poison(record: Record, event: CloudEvent | None, error: Exception) -> Poison:
    """Why a record is parked: the class of the error decides the reason, its place the fingerprint."""
    if isinstance(error, PermanentError):
        reason, text = error.reason, str(error)
    elif isinstance(error, CasestreamError):
        reason, text = type(error).__name__, str(error)
    else:
        # A foreign exception's text may quote a row or a payload: only its class is kept.
        reason, text = "error", type(error).__name__
    place = f"{reason}:{type(error).__name__}:{_place(error)}"
    fingerprint = hashlib.sha256(place.encode()).hexdigest()[:16]
    return Poison(record, reason, fingerprint, f"{text} at {_place(error)}"[:2000], event)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_globals.get('__name__', '?')}.{trace.tb_frame.f_code.co_name}"


def _size_problem(record: Record, limit_bytes: int) -> str:
    if record.value is not None and len(record.value) > limit_bytes:
        return f"value of {len(record.value)} bytes is above the decode limit of {limit_bytes}"
    if record.key is not None and len(record.key) > MAX_KEY_BYTES:
        return f"key of {len(record.key)} bytes is above the limit of {MAX_KEY_BYTES}: order cannot be kept"
    return ""


def _believed(record: Record, event: CloudEvent) -> CloudEvent:
    """The event, without its number where the key contradicts it: a stranger must not move another aggregate on."""
    return replace(event, sequence=None) if _key_problem(record, event) else event


def _key_problem(record: Record, event: CloudEvent) -> str:
    if event.sequence is not None and not (event.partitionkey or event.subject):
        return "a numbered event must name its aggregate in partitionkey or subject"
    if record.key is not None and event.partitionkey is not None and event.partitionkey.encode() != record.key:
        return "ce_partitionkey differs from the record's key: order cannot be kept"
    return ""
