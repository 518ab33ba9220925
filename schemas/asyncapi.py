"""The AsyncAPI 3 document of all topics: what is on them, who writes and reads them, how they are created.

Topics have their logical names; a cell adds its prefix. Kafka bindings 0.4.0. It never reads settings: the copies of a
topic are those of production.
"""

from collections.abc import Iterable
from typing import Any

from schemas.models import Payload
from schemas.registry import GROUPS, MAX_MESSAGE_BYTES, TOPICS, Topic, dead_letter_topics
from schemas.senders import SENDERS
from schemas.types import MODELS

_BINDING = "0.4.0"
_REPLICAS = 3
_DLT_HEADERS = (
    "original-topic original-partition original-offset original-timestamp consumer-group reason fingerprint error value-omitted"
).split()

Document = dict[str, Any]


def document() -> Document:
    """The whole document, ready for JSON."""
    letters = dead_letter_topics()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Casestream",
            "version": "1",
            "description": "CloudEvents 1.0 in Kafka's binary mode; structured mode is read as well. "
            "Every event carries its tenant, and the record key is that of its aggregate.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in (*TOPICS.values(), *letters)},
        "operations": dict([*_sends(TOPICS.values()), *_receives(), *_dead_letters(letters)]),
        "components": {
            "messages": {name: _message(model) for name, model in MODELS.items()},
            "messageTraits": {"cloudevent": {"headers": _headers()}},
        },
    }


def _channel(topic: Topic) -> Document:
    return {
        "address": topic.name,
        "description": topic.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in topic.types},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "replicas": _REPLICAS,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": topic.retention_ms,
                    "max.message.bytes": MAX_MESSAGE_BYTES,
                },
                "bindingVersion": _BINDING,
            }
        },
        "x-erasure": topic.erasure,
        "x-key": topic.key,
    }


def _sends(topics: Iterable[Topic]) -> list[tuple[str, Document]]:
    return [(f"write {topic.name}", _operation("send", topic.name, _who_writes(topic))) for topic in topics]


def _who_writes(topic: Topic) -> Document:
    outside = [f"{sender.source} ({', '.join(sorted(sender.roles))})" for sender in SENDERS.values()]
    if not topic.outside_producers:
        return {"summary": "Only Casestream's outbox writes here.", "x-outside-producers": False}
    return {
        "summary": "Outside producers may write here; the source of a command decides its rights.",
        "x-outside-producers": True,
        "x-registered-senders": outside,
    }


def _receives() -> list[tuple[str, Document]]:
    return [
        (f"{group.name} reads {name}", _operation("receive", name, {"summary": group.description}, group.name))
        for group in GROUPS.values()
        for name in group.topics
    ]


def _dead_letters(topics: Iterable[Topic]) -> list[tuple[str, Document]]:
    said = {
        "summary": "Copies for eyes, never the truth: key, value and headers untouched, and text headers dlt-*.",
        "x-added-headers": [f"dlt-{name}" for name in _DLT_HEADERS],
    }
    return [(f"write {topic.name}", _operation("send", topic.name, said)) for topic in topics]


def _operation(action: str, topic: str, said: Document, group: str | None = None) -> Document:
    # A slash would be part of the reference's path; topic names have none.
    bound = {"groupId": {"type": "string", "enum": [group]}} if group else {}
    bindings = {"bindings": {"kafka": {**bound, "bindingVersion": _BINDING}}} if group else {}
    return {"action": action, "channel": {"$ref": f"#/channels/{topic}"}, **said, **bindings}


def _message(model: type[Payload]) -> Document:
    key = next(topic.key for topic in TOPICS.values() if model.TYPE in topic.types)
    return {
        "name": model.TYPE,
        "title": model.TYPE,
        "summary": " ".join((model.__doc__ or "").split()),
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudevent"}],
        "payload": {"$ref": f"./{model.TYPE}.schema.json"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": _BINDING}},
    }


def _headers() -> Document:
    text = {"type": "string"}
    names = "id source type time subject dataschema partitionkey sequence tenant causation".split()
    return {
        "type": "object",
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            **{f"ce_{name}": text for name in names},
            "traceparent": text,
            "content-type": {"type": "string", "const": "application/json"},
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_tenant"],
    }
