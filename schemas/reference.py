"""docs/reference/topics.md and events.md, rendered from the registry and the models. Pure: a check writes and compares."""

from collections.abc import Iterable
from typing import Any

from schemas.models import Payload
from schemas.published import payload_schema
from schemas.registry import (
    DAY_MS,
    FOR_EVER_MS,
    GROUPS,
    MAX_MESSAGE_BYTES,
    TOPICS,
    Topic,
    dlt_topic,
)
from schemas.senders import SENDERS
from schemas.types import MODELS

_TOPICS_HEAD = f"""# Topics and groups

<!-- Generated from schemas/registry.py by `make docs`. -->

`casestream topics apply` creates what is missing; `casestream topics diff` compares and changes nothing; nothing deletes a
topic. A cell's prefix (`CASESTREAM_TOPIC_PREFIX`) stands before every name on the broker. Records are at most
{MAX_MESSAGE_BYTES // 1024 // 1024} MiB, an unclean leader election is never allowed, copies come from
`CASESTREAM_KAFKA__REPLICATION_FACTOR` and `CASESTREAM_KAFKA__MIN_INSYNC_REPLICAS`. Partition counts are fixed at birth:
`casestream topics grow` is the only way to more, because a plain increase lets a key's newer events overtake its older
ones.

"Erasure" says what erasing a subject does: `none` (the topic holds ids, codes and times only), `shred` (encrypted under
the subject's key, which is destroyed) or `expires` (gone when its retention ends).
"""

_GROUPS_HEAD = """## Groups

A dead letter topic has the partitions of its topic and is kept 7 days: a copy for eyes, never the truth.
"""

_SENDERS_HEAD = """## Registered senders of commands

Any other `ce_source` has the rights of an agent. A source is a name, not a proof: the broker's access lists must say who
may write to a topic at all.
"""

_EVENTS_HEAD = """# Events and commands

<!-- Generated from the models in schemas/ by `make docs`. -->

Every message is a CloudEvent; its JSON Schema is `schemas/published/<type>.schema.json`, the AsyncAPI 3 document is
`schemas/published/asyncapi.json`. Unknown fields are ignored. A change is published by `casestream schema publish`, which
refuses one that would make a reader fail on an event of any earlier version (BACKWARD_TRANSITIVE).

In Kafka's binary mode the attributes are headers: `ce_specversion ce_id ce_source ce_type ce_time ce_subject
ce_dataschema ce_partitionkey ce_sequence ce_tenant ce_causation`, then `traceparent` and `content-type`; the value is the
data. Structured mode (`content-type: application/cloudevents+json`) is read as well. Required: `specversion` (1.0), `id`,
`source`, `type`, `tenant`. Text is at most 512 bytes of UTF-8 without control characters.
"""


def topics_page() -> str:
    """docs/reference/topics.md."""
    topics = _table(
        ("topic", "key", "kept", "partitions", "written by", "erasure", "carries"),
        (
            (f"`{t.name}`", t.key, kept(t), str(t.partitions), _writers(t), f"`{t.erasure}`", t.description)
            for t in TOPICS.values()
        ),
    )
    groups = _table(
        ("group", "reads", "dead letters", "does"),
        (
            (f"`{g.name}`", _codes(g.topics), _codes(dlt_topic(t, g.name) for t in g.topics), g.description)
            for g in GROUPS.values()
        ),
    )
    senders = _table(
        ("source", "roles", "internal actions"),
        ((f"`{s.source}`", ", ".join(sorted(s.roles)), "yes" if s.internal else "no") for s in SENDERS.values()),
    )
    return f"{_TOPICS_HEAD}\n{topics}\n{_GROUPS_HEAD}\n{groups}\n{_SENDERS_HEAD}\n{senders}"


def events_page() -> str:
    """docs/reference/events.md."""
    return "\n".join((_EVENTS_HEAD, *(_message(model) for model in MODELS.values())))


def kept(topic: Topic) -> str:
    return "for ever" if topic.retention_ms == FOR_EVER_MS else f"{topic.retention_ms // DAY_MS} days"


def _message(model: type[Payload]) -> str:
    schema = payload_schema(model)
    topic = next(topic.name for topic in TOPICS.values() if model.TYPE in topic.types)
    required = set(schema.get("required", ()))
    rows = (
        (f"`{name}`", _kind(item), "yes" if name in required else "", _default(item))
        for name, item in schema["properties"].items()
    )
    summary = " ".join((model.__doc__ or "").split())
    return f"## {model.TYPE}\n\n{summary} On `{topic}`.\n\n" + _table(("field", "value", "required", "default"), rows)


def _kind(item: Any) -> str:
    """A field's values in a few words."""
    match item:
        case {"anyOf": list(choices)}:
            return " or ".join(_kind(choice) for choice in choices if choice != {"type": "null"})
        case {"enum": list(values)}:
            return _codes(map(str, values))
        case {"format": "date-time"}:
            return "time with zone"
        case {"type": "array", "items": items}:
            return f"list of {_kind(items)}"
        case {"type": "string", "maxLength": int(longest)}:
            return f"text, at most {longest}"
        case {"type": str(name)}:
            return {"string": "text", "object": "object"}.get(name, name)
        case _:
            return "any"


def _default(item: Any) -> str:
    value = item.get("default")
    return "" if value is None else f"`{value}`".lower() if isinstance(value, bool) else f"`{value}`"


def _writers(topic: Topic) -> str:
    return "the outbox and outside producers" if topic.outside_producers else "the outbox"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    # A key is written tenant|type|id: the bar must not end the cell.
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (head, *rows)]
    return "\n".join(f"| {line} |" for line in (lines[0], " | ".join("---" for _ in head), *lines[1:])) + "\n"
