"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in (knowledge of the Kafka protocol binding).

Owns the mapping between a record (key, value, headers) and a `CloudEvent`. Header names are taken in any case, a null
value is a tombstone, and whatever cannot be read raises `UndecodableMessage` with a reason that quotes no payload.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from schemas.errors import UndecodableMessage

JSON = "application/json"
SEQUENCE_DIGITS = 20
MAX_CAUSATION = 64
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event or command. `data` is None for a tombstone; identity is the pair (`source`, `id`)."""

    id: str
    source: str
    type: str
    tenant: str
    subject: str | None = None
    time: datetime | None = None
    data: bytes | None = None
    dataschema: str | None = None
    partitionkey: str | None = None
    sequence: int | None = None
    causation: tuple[str, ...] = ()
    traceparent: str | None = None
    content_type: str = JSON


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def to_headers(event: CloudEvent) -> list[tuple[str, bytes | None]]:
    """The binary-mode headers of an event, in a fixed order."""
    text = {
        "ce_specversion": "1.0",
        "ce_id": event.id,
        "ce_source": event.source,
        "ce_type": event.type,
        "ce_time": None if event.time is None else format_time(event.time),
        "ce_subject": event.subject,
        "ce_dataschema": event.dataschema,
        "ce_partitionkey": event.partitionkey,
        # The extension compares as text, hence the padding.
        "ce_sequence": None if event.sequence is None else str(event.sequence).zfill(SEQUENCE_DIGITS),
        "ce_tenant": event.tenant,
        "ce_causation": ",".join(event.causation) or None,
        "traceparent": event.traceparent,
        "content-type": event.content_type if event.data is not None else None,
    }
    return [(name, value.encode()) for name, value in text.items() if value is not None]


def from_kafka(value: bytes | None, headers: Headers) -> CloudEvent:
    """Read a record in either mode.

    Raises UndecodableMessage: no CloudEvent, wrong specversion, a required attribute missing or malformed.
    """
    named = _by_lower_name(headers)
    if named.get("content-type", "").lower().startswith("application/cloudevents"):
        return _from_structured(value)
    return _from_binary(value, named)


def _by_lower_name(headers: Headers) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if value is None or not (lower.startswith("ce_") or lower in ("content-type", "traceparent")):
            continue
        try:
            named.setdefault(lower, value.decode())
        except UnicodeDecodeError as error:
            raise UndecodableMessage(f"header {lower} is not UTF-8: send CloudEvents attributes as UTF-8 text") from error
    return named


def _from_binary(value: bytes | None, named: Mapping[str, str]) -> CloudEvent:
    attributes = {name[3:]: text for name, text in named.items() if name.startswith("ce_")}
    if "specversion" not in attributes:
        raise UndecodableMessage("no CloudEvent: header ce_specversion is missing and content-type names no structured event")
    attributes.setdefault("traceparent", named.get("traceparent", ""))
    return _event(attributes, value, named.get("content-type") or JSON)


def _from_structured(value: bytes | None) -> CloudEvent:
    if value is None:
        raise UndecodableMessage("a structured CloudEvent needs a value, found none")
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise UndecodableMessage("the structured CloudEvent is not valid JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise UndecodableMessage("the structured CloudEvent is not a JSON object")
    attributes = {name.lower(): _text(name, item) for name, item in document.items() if name not in ("data", "data_base64")}
    return _event(attributes, _structured_data(document), attributes.get("datacontenttype") or JSON)


def _structured_data(document: Mapping[str, Any]) -> bytes | None:
    if "data_base64" in document:
        raise UndecodableMessage("data_base64 is not supported: send JSON in data")
    return orjson.dumps(document["data"]) if document.get("data") is not None else None


def _text(name: str, item: object) -> str:
    if isinstance(item, bool) or not isinstance(item, str | int):
        raise UndecodableMessage(f"CloudEvents attribute {name[:40]!r} must be text")
    return str(item)


def _event(attributes: Mapping[str, str], data: bytes | None, content_type: str) -> CloudEvent:
    if attributes.get("specversion") != "1.0":
        raise UndecodableMessage("specversion must be 1.0")
    return CloudEvent(
        id=_required(attributes, "id"),
        source=_required(attributes, "source"),
        type=_required(attributes, "type"),
        tenant=_required(attributes, "tenant"),
        subject=_optional(attributes, "subject"),
        time=_time(attributes.get("time")),
        data=data,
        dataschema=_optional(attributes, "dataschema"),
        partitionkey=attributes.get("partitionkey") or None,
        sequence=_sequence(attributes.get("sequence")),
        causation=_causation(attributes.get("causation")),
        traceparent=_traceparent(attributes.get("traceparent")),
        content_type=content_type,
    )


def _required(attributes: Mapping[str, str], name: str) -> str:
    text = _optional(attributes, name)
    if not text:
        raise UndecodableMessage(f"required CloudEvents attribute {name} is missing or empty")
    return text


def _optional(attributes: Mapping[str, str], name: str) -> str | None:
    text = attributes.get(name) or None
    if text is not None and (len(text) > 512 or _CONTROL.search(text)):
        raise UndecodableMessage(f"CloudEvents attribute {name} is longer than 512 characters or holds a control character")
    return text


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UndecodableMessage("CloudEvents attribute time is not RFC 3339") from error
    if moment.tzinfo is None:
        raise UndecodableMessage("CloudEvents attribute time has no zone: send Z or an offset")
    return moment.astimezone(UTC)


def _sequence(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:40]) < 2**63:
        raise UndecodableMessage("CloudEvents attribute sequence must be a decimal number from 1 to 2^63-1")
    return int(text)


def _causation(text: str | None) -> tuple[str, ...]:
    chain = tuple(text.split(",")) if text else ()
    if len(chain) > MAX_CAUSATION:
        raise UndecodableMessage(f"CloudEvents attribute causation names more than {MAX_CAUSATION} links")
    return chain


def _traceparent(text: str | None) -> str | None:
    # A malformed trace header must never cost an event: tracing starts anew instead.
    return text if text and _TRACEPARENT.match(text) else None
