"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in (the Kafka protocol binding).

Owns the mapping between a record's value and headers and a `CloudEvent`. Header names are taken in any case, a null
value is a tombstone, and whatever cannot be read raises `UndecodableMessage` with a reason that quotes no payload. Only
the attributes of `_KNOWN` are read: an extension that we do not know, however broken, costs no event.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from schemas.errors import UndecodableMessage
from schemas.instants import format_time
from schemas.structured import read_structured
from schemas.tenants import is_tenant_id

JSON = "application/json"
SEQUENCE_DIGITS = 20
MAX_CAUSATION = 64
# Bytes, not characters: source, id and subject stand in one index row of PostgreSQL, which ends at 2,704 bytes.
MAX_ATTRIBUTE_BYTES = 512
_MAX_DIGITS = 40
_MAX_TIME = 64
_KNOWN = frozenset(
    "specversion id source type time subject dataschema datacontenttype"
    " partitionkey sequence tenant causation traceparent".split()
)
# The media type has a header of its own; under `ce_` it would be a second switch between the modes.
_ATTRIBUTE_OF = {f"ce_{name}": name for name in _KNOWN - {"datacontenttype"}} | {
    "content-type": "datacontenttype",
    "traceparent": "traceparent",
}
_TEXTS = ("id", "source", "type", "tenant", "subject", "dataschema", "partitionkey", "datacontenttype")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

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
    named = _attributes_of(headers)
    media_type = named.get("datacontenttype", "").partition(";")[0].strip().lower()
    if not media_type.startswith("application/cloudevents"):
        return _from_binary(value, named)
    # The value holds the whole event: `ce_` headers beside it say nothing. Tracing belongs to the record as well.
    if media_type not in ("application/cloudevents", "application/cloudevents+json"):
        raise UndecodableMessage("a structured CloudEvent is read in JSON only: send application/cloudevents+json")
    attributes, data = read_structured(value, _KNOWN)
    return _event({"traceparent": named.get("traceparent", "")} | attributes, data)


def _attributes_of(headers: Headers) -> dict[str, str]:
    """The attributes among the headers, by name. Repeated ones must agree; of trace contexts the last one holds."""
    named: dict[str, str] = {}
    for header, value in headers:
        name = _ATTRIBUTE_OF.get(header) or _ATTRIBUTE_OF.get(header.lower())
        if value is None or name is None:
            continue
        if name == "traceparent":
            named[name] = value.decode("ascii", "replace")
            continue
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            problem = f"header {header.lower()} is not UTF-8: send CloudEvents attributes as UTF-8 text"
            raise UndecodableMessage(problem) from error
        if named.setdefault(name, text) != text:
            raise UndecodableMessage(f"CloudEvents attribute {name} stands twice with different values: send it once")
    return named


def _from_binary(value: bytes | None, named: Mapping[str, str]) -> CloudEvent:
    if "specversion" not in named:
        raise UndecodableMessage("no CloudEvent: header ce_specversion is missing and content-type names no structured event")
    return _event(named, value)


def _event(attributes: Mapping[str, str], data: bytes | None) -> CloudEvent:
    if attributes.get("specversion") != "1.0":
        raise UndecodableMessage("specversion must be 1.0")
    _check_texts(attributes)
    return CloudEvent(
        id=_required(attributes, "id"),
        source=_required(attributes, "source"),
        type=_required(attributes, "type"),
        tenant=_tenant(_required(attributes, "tenant")),
        subject=attributes.get("subject") or None,
        time=_time(attributes.get("time")),
        data=data,
        dataschema=attributes.get("dataschema") or None,
        partitionkey=attributes.get("partitionkey") or None,
        sequence=_sequence(attributes.get("sequence")),
        causation=_causation(attributes.get("causation")),
        traceparent=_traceparent(attributes.get("traceparent")),
        content_type=attributes.get("datacontenttype") or JSON,
    )


def _required(attributes: Mapping[str, str], name: str) -> str:
    text = attributes.get(name)
    if not text:
        raise UndecodableMessage(f"required CloudEvents attribute {name} is missing or empty")
    return text


def _check_texts(attributes: Mapping[str, str]) -> None:
    """Every text that is kept as it came is short and free of control characters."""
    together = "".join([attributes.get(name, "") for name in _TEXTS])
    # Nearly all are plain ASCII and together no longer than one may be: one look.
    if len(together) <= MAX_ATTRIBUTE_BYTES and together.isascii() and together.isprintable():
        return
    for name in _TEXTS:
        if not _fits(attributes.get(name, "")):
            raise UndecodableMessage(
                f"CloudEvents attribute {name} is longer than {MAX_ATTRIBUTE_BYTES} bytes or holds a control character"
            )


def _fits(text: str) -> bool:
    # The first test spares a huge text the others.
    return len(text) <= MAX_ATTRIBUTE_BYTES and not _CONTROL.search(text) and len(text.encode()) <= MAX_ATTRIBUTE_BYTES


def _tenant(text: str) -> str:
    if not is_tenant_id(text):
        raise UndecodableMessage("CloudEvents attribute tenant must be a letter or digit, then at most 63 of A-Z a-z 0-9 _ . -")
    return text


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        # RFC 3339 is narrower than what fromisoformat takes (weeks, basic format, no zone); it allows small t and z.
        if len(text) > _MAX_TIME or not _TIME.fullmatch(text.upper()):
            raise ValueError
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UndecodableMessage("CloudEvents attribute time is not RFC 3339 with Z or an offset") from error


def _sequence(text: str | None) -> int | None:
    if not text:
        return None
    if len(text) > _MAX_DIGITS or not (text.isascii() and text.isdigit()) or not 1 <= int(text) < 2**63:
        raise UndecodableMessage("CloudEvents attribute sequence must be a decimal number from 1 to 2^63-1")
    return int(text)


def _causation(text: str | None) -> tuple[str, ...]:
    if not text:
        return ()
    chain = tuple(text.split(",", MAX_CAUSATION))
    if len(chain) > MAX_CAUSATION or not all(link and _fits(link) for link in chain):
        raise UndecodableMessage(
            f"CloudEvents attribute causation must be at most {MAX_CAUSATION} ids with commas between them"
        )
    return chain


def caused_by(event: CloudEvent) -> tuple[str, ...]:
    """The chain of what `event` causes: its own chain and itself, the last MAX_CAUSATION links of it.

    An id with a comma would read as two links, so its hash stands for it.
    """
    link = event.id if "," not in event.id else sha256(event.id.encode()).hexdigest()
    return (*event.causation, link)[-MAX_CAUSATION:]


def _traceparent(text: str | None) -> str | None:
    # A malformed trace header must never cost an event: tracing starts anew instead.
    return text if text and _TRACEPARENT.fullmatch(text) else None
