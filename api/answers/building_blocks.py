"""What every answer is made of: the base model, problems, labels, probes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from schemas.work_items import Action, Status


class Answer(BaseModel):
    """Base of every answer: camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class FieldError(Answer):
    """One finding: a JSON pointer into the body, or the name of a parameter."""

    pointer: str | None = None
    parameter: str | None = None
    place: str | None = Field(None, alias="in")
    code: str
    message: str


class ProblemBody(Answer):
    """RFC 9457, with the documents' `error` and `message`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", title="Problem")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    trace_id: str
    error: str
    message: str
    errors: list[FieldError] | None = None
    action: str | None = None
    current_status: Status | None = None
    current_version: int | None = None
    allowed_next_actions: list[Action] | None = None


class LabelView(Answer):
    """A name in Vietnamese and English."""

    vi: str
    en: str


class Checks(Answer):
    """What readiness depends on."""

    database: Literal["ok", "failed"]
    keys: Literal["ok", "failed"]


class Health(Answer):
    """A probe's answer; `checks` only in the verbose form."""

    status: Literal["ok", "unavailable"]
    checks: Checks | None = None
