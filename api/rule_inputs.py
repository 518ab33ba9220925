"""What editors of rules may send. A rule's words are read by the subject, which tells every mistake with its place at once;
here they are only an object.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Header, Path, Query
from pydantic import Field, StrictInt, WithJsonSchema

from api.inputs import Input, Moment
from schemas.models import Code, FieldPath, Identifier, Text
from schemas.rules import ExecutionStatus

RuleId = Annotated[UUID, Path(description="Id of the rule")]
RunId = Annotated[UUID, Path(description="Id of the run")]
Page = Annotated[int, Query(ge=1, le=1_000_000, description="Number of the page, from 1")]
Size = Annotated[int, Query(ge=1, le=200, description="Rules or runs per page")]
OfEntityType = Annotated[Code | None, Query(alias="entityType", description="Only rules of this entity type")]
IsActive = Annotated[bool | None, Query(alias="isActive", description="Only rules that are on, or off")]
OfStatus = Annotated[ExecutionStatus | None, Query(alias="status", description="Only runs with this status")]
AcceptLanguage = Annotated[
    str | None, Header(alias="Accept-Language", max_length=200, description="`vi` or `en`: of the sentences about problems")
]
Words = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "description": "A rule in the words of docs/reference/rules.md", "maxProperties": 40}),
]
Reason = Annotated[Text, Field(min_length=1, max_length=1_000)]


class RuleBody(Input):
    """A rule, and why it is saved."""

    rule: Words
    reason: Reason | None = None


class WhyBody(Input):
    """Why a rule is switched or removed."""

    reason: Reason | None = None


class TriedChange(Input):
    """A change of an entity, as an event would tell it."""

    entity_id: Identifier = "sample"
    change_type: Literal["CREATE", "UPDATE", "DELETE"] = "UPDATE"
    old_values: dict[str, Any] | None = None
    new_values: dict[str, Any] | None = None
    changed_fields: Annotated[tuple[FieldPath, ...], Field(max_length=1_000)] = ()
    timestamp: Moment | None = None


class TrialBody(Input):
    """A stored rule, or words that are not saved yet, and a change to try it on."""

    rule_id: UUID | None = None
    rule: Words | None = None
    change: TriedChange


class SimulateBody(Input):
    """Changes to try the rule on, or none: then on entities as they are."""

    changes: Annotated[tuple[TriedChange, ...], Field(max_length=500)] = ()
    most: Annotated[StrictInt, Field(ge=1, le=2_000)] = 500


class ExplainBody(Input):
    """An event, pasted, and the version of the rule that is asked; by default the one of the event's time."""

    event_id: Identifier | None = None
    source: Identifier | None = None
    change: TriedChange
    version: Annotated[StrictInt, Field(ge=1, lt=2**31)] | None = None
