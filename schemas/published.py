"""The published language: what `schemas/published/` must hold, rendered from the models and the registry.

One JSON Schema for each message type, for the envelope, for files of case classes, of rules and of flows, one AsyncAPI 3
document. Rendering is pure and repeatable; `runtime.schema_files` compares with the files and writes them.
"""

import json
from typing import Any

from schemas.asyncapi import document
from schemas.case_classes import CaseClassFile
from schemas.envelope import MAX_ATTRIBUTE_BYTES, SEQUENCE_DIGITS
from schemas.flows import flow_file_schema
from schemas.models import Payload
from schemas.rule_files import rule_file_schema
from schemas.tenants import TENANT_PATTERN
from schemas.types import MODELS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
SUFFIX = ".schema.json"
ASYNCAPI = "asyncapi.json"
ENVELOPE = f"cloudevent{SUFFIX}"
CASE_CLASSES = f"case-classes{SUFFIX}"
RULES = f"rules{SUFFIX}"
FLOW = f"flow{SUFFIX}"


def render() -> dict[str, str]:
    """File name -> text, for every generated file of `schemas/published/` (its `history/` is kept, never generated)."""
    files = {f"{name}{SUFFIX}": as_text(payload_schema(model)) for name, model in sorted(MODELS.items())}
    more = {
        ENVELOPE: envelope_schema(),
        CASE_CLASSES: case_classes_schema(),
        RULES: rules_schema(),
        FLOW: flow_schema(),
        ASYNCAPI: document(),
    }
    return {**files, **{name: as_text(content) for name, content in more.items()}}


def as_text(schema: object) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def payload_schemas() -> dict[str, dict[str, Any]]:
    """The schema of every message type, by type."""
    return {name: payload_schema(model) for name, model in MODELS.items()}


def payload_schema(model: type[Payload]) -> dict[str, Any]:
    """What our reader accepts as the data of this type. Open: a field that it does not know is ignored."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": _DIALECT, "$id": model.dataschema(), **_without_titles(schema), "title": model.TYPE}


def case_classes_schema() -> dict[str, Any]:
    """For editors: the first line of a file of case classes names it, and they complete and mark what is wrong."""
    schema = CaseClassFile.model_json_schema(by_alias=True, mode="validation")
    title = "Casestream case classes"
    return {"$schema": _DIALECT, "$id": "urn:casestream:schema:case-classes:v1", **_without_titles(schema), "title": title}


def rules_schema() -> dict[str, Any]:
    """For editors, in the same way: the first line of a file of rules names it."""
    schema = _without_titles(rule_file_schema())
    return {"$schema": _DIALECT, "$id": "urn:casestream:schema:rules:v1", **schema, "title": "Casestream rules"}


def flow_schema() -> dict[str, Any]:
    """For editors too: one version of a flow, which is one file."""
    schema = _without_titles(flow_file_schema())
    return {"$schema": _DIALECT, "$id": "urn:casestream:schema:flow:v1", **schema, "title": "Casestream flow"}


def _without_titles(schema: Any) -> Any:
    # pydantic repeats each field's name as its title; a field that is called `title` stays.
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_titles(item) for name, item in value.items()}
        if key in ("properties", "$defs")
        else _without_titles(value)
        for key, value in schema.items()
        if key != "title"
    }


def envelope_schema() -> dict[str, Any]:
    """The CloudEvents attributes that we read, as in JSON (structured mode); in binary mode each is a header `ce_<name>`."""
    text = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE_BYTES}
    return {
        "$schema": _DIALECT,
        "$id": "urn:casestream:schema:cloudevent:v1",
        "title": "CloudEvent",
        "description": "CloudEvents 1.0 with Casestream's extensions. Limits of text are bytes of UTF-8.",
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**text, "description": "with `source` the identity of the event"},
            "source": {**text, "description": "who wrote it; commands get the rights of the sender registered under it"},
            "type": {**text, "description": "one of the message types"},
            "time": {"type": "string", "format": "date-time"},
            "subject": {**text, "description": "id of the aggregate"},
            "datacontenttype": {**text, "description": "in binary mode the header content-type"},
            "dataschema": {**text, "format": "uri"},
            "partitionkey": {**text, "description": "the record's key"},
            "sequence": {
                "type": "string",
                "pattern": f"^[0-9]{{1,{SEQUENCE_DIGITS * 2}}}$",
                "description": "number of the event among those of its aggregate on this topic, without gap; "
                f"written with {SEQUENCE_DIGITS} digits. Commands and refusals carry none",
            },
            "tenant": {"type": "string", "pattern": TENANT_PATTERN},
            "causation": {"type": "string", "description": "ids of the rules and events that led here, comma separated"},
            "traceparent": {"type": "string", "description": "W3C Trace Context; in binary mode the header traceparent"},
            "data": {"description": "the message, by its own schema"},
            "data_base64": {"type": "string", "contentEncoding": "base64"},
        },
        "required": ["specversion", "id", "source", "type", "tenant"],
    }
