"""Which CloudEvents type is which model, and how data becomes a model (SP-10)."""

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel, Field, ValidationError

from schemas.audit import AuditHeadSigned
from schemas.cases import CaseCommandRefused, CaseSnapshotStored, RemoveCase, StoreSnapshot
from schemas.effects import EffectFailed, EffectSucceeded
from schemas.entities import (
    AddTag,
    AssignTo,
    ChangeStage,
    ChangeStatus,
    CreateActivity,
    EntityChangeEvent,
    RemoveTag,
    UpdateField,
)
from schemas.envelope import CloudEvent
from schemas.errors import UndecodableMessage, UnknownMessageType
from schemas.models import Payload
from schemas.monitoring import OpsAlert
from schemas.onboarding import (
    Advance,
    CancelInstance,
    CompleteInstance,
    InstanceStatusChanged,
    ReopenInstance,
    ReviewDecided,
    StartInstance,
    StepFailed,
    StepSucceeded,
    TimerFired,
    WorkflowEventTold,
)
from schemas.rule_events import RuleRunFinished, StartRule
from schemas.steps import StepReplied, StepRequested
from schemas.work_items import (
    ApplyAction,
    CreateWorkItem,
    WorkItemActionRefused,
    WorkItemAssigned,
    WorkItemCreated,
    WorkItemDraftSaved,
    WorkItemFieldsChanged,
    WorkItemStatusChanged,
)


def parse(event: CloudEvent) -> Payload:
    """The event's data as its model.

    Raises UnknownMessageType (type or schema version) and UndecodableMessage (JSON, a field that fails its model).
    """
    model = MODELS.get(event.type)
    if model is None:
        raise UnknownMessageType(f"type {event.type[:80]!r} is unknown: expected one of {', '.join(sorted(MODELS))}")
    if event.data is None:
        raise UndecodableMessage(f"{event.type} has no data: a tombstone is not a {event.type}")
    try:
        payload = model.model_validate_json(event.data)
    except ValidationError as error:
        _refuse_newer(model, _schema_version(event.data))
        raise UndecodableMessage(f"{event.type}: {places(error)}") from error
    _refuse_newer(model, payload.schema_version)
    return payload


def _refuse_newer(model: type[Payload], version: int) -> None:
    if version > model.SCHEMA_VERSION:
        raise UnknownMessageType(f"{model.TYPE} has schema version {version}: this release reads up to {model.SCHEMA_VERSION}")


def _schema_version(data: bytes) -> int:
    # A newer event may well fail today's model: the operator should read "newer", not "broken".
    try:
        return _Version.model_validate_json(data).schema_version
    except ValidationError:
        return 0


def places(error: ValidationError) -> str:
    """What is wrong where: our field names and pydantic's error kinds only, since its message quotes the value."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"/{'/'.join(map(_place, item['loc']))} {item['type']}" for item in found[:5])


def _place(part: int | str) -> str:
    # A place may be the key of a sender's object, or a field that we do not have: any text, perhaps about a person.
    return str(part) if isinstance(part, int) or part in _FIELDS else "?"


def _fields_of(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield from (name, field.alias or name)
        for inner in _models_in(field.annotation):
            yield from _fields_of(inner)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


class _Version(BaseModel):
    schema_version: int = Field(default=0, alias="schemaVersion")


MODELS: dict[str, type[Payload]] = {
    model.TYPE: model
    for model in (
        CreateWorkItem,
        ApplyAction,
        WorkItemDraftSaved,
        WorkItemCreated,
        WorkItemStatusChanged,
        WorkItemAssigned,
        WorkItemFieldsChanged,
        WorkItemActionRefused,
        EntityChangeEvent,
        EffectSucceeded,
        EffectFailed,
        UpdateField,
        ChangeStage,
        ChangeStatus,
        AddTag,
        RemoveTag,
        AssignTo,
        CreateActivity,
        StartRule,
        RuleRunFinished,
        StartInstance,
        Advance,
        StepSucceeded,
        StepFailed,
        TimerFired,
        ReviewDecided,
        CancelInstance,
        ReopenInstance,
        CompleteInstance,
        InstanceStatusChanged,
        WorkflowEventTold,
        StepRequested,
        StepReplied,
        StoreSnapshot,
        RemoveCase,
        CaseSnapshotStored,
        CaseCommandRefused,
        AuditHeadSigned,
        OpsAlert,
    )
}

_FIELDS = frozenset(name for model in MODELS.values() for name in _fields_of(model))
