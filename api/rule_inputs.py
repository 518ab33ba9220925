"""What editors of rules may send. A rule's words are read by the subject, which tells every mistake with its place at once;
here they are only an object.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Header, Path, Query
from pydantic import Field, StrictInt, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from api.inputs import Input, Moment
from schemas.models import Code, EventIdentity, FieldPath, Identifier, Text
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
    """What to explain: an event that is named by its id, one that is pasted, or a run.

    A named event is looked for in its topic: `source`, `entityId` and `at` (about when it was sent) may be left out and make
    that cheaper; the header Access-Reason says why. `version` asks another version than that of the event's time.
    """

    event_id: Identifier | None = None
    source: EventIdentity | None = None
    entity_id: Identifier | None = None
    at: Moment | None = None
    change: TriedChange | None = None
    run_id: UUID | None = None
    version: Annotated[StrictInt, Field(ge=1, lt=2**31)] | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "ExplainBody":
        if self.run_id is not None and (self.change is not None or self.event_id is not None):
            raise PydanticCustomError("one_thing", "send runId, or an event, not both")
        if self.run_id is None and self.change is None and self.event_id is None:
            raise PydanticCustomError("one_thing", "send eventId, change or runId")
        return self
