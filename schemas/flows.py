"""The format of flow definitions: what a file under definitions/flows/ says (WF-11, WF-13, IN-1, IN-13).

Shape only. Whether the states can be reached and left, and whether handlers and compensations are there, is for
`casestream flow lint`, which also knows the lines. A version of a flow never changes once an instance has started on it.
"""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError

from schemas.cases import ClassName
from schemas.registry import STEP_REQUESTS

# Who may take an action. SYSTEM: the engine takes it as soon as the state is entered. REVIEWER: by deciding a review task.
Actor = Literal["USER", "SYSTEM", "OPERATOR", "REVIEWER"]
End = Literal["completed", "rejected"]
HandlerKind = Literal["python", "http", "kafka"]
Mode = Literal["sync", "async"]

FlowName = Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Name = Annotated[StrictStr, Field(max_length=100, pattern=r"^[A-Z][A-Z0-9_]*$")]
HandlerName = Annotated[StrictStr, Field(max_length=100, pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")]
GroupName = Annotated[StrictStr, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$")]
FieldName = Annotated[StrictStr, Field(max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$")]
Words = Annotated[StrictStr, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Url = Annotated[StrictStr, Field(max_length=2048, pattern=r"^https?://[!-~]+$")]
SecretName = Annotated[StrictStr, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
TopicName = Annotated[StrictStr, Field(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
FlowVersion = Annotated[StrictInt, Field(ge=1, lt=2**31)]

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)")
LONGEST = timedelta(days=3660)


def _read_duration(said: object) -> timedelta:
    if isinstance(said, timedelta):
        return said
    found = _DURATION.fullmatch(said) if isinstance(said, str) else None
    duration = timedelta(milliseconds=int(found[1]) * _UNITS[found[2]]) if found else None
    if duration is None or duration > LONGEST:
        raise PydanticCustomError("duration", "a duration is a number with ms, s, m, h or d, at most ten years, such as 24h")
    return duration


def _write_duration(duration: timedelta) -> str:
    milliseconds = duration // timedelta(milliseconds=1)
    unit = next(unit for unit in reversed(_UNITS) if milliseconds % _UNITS[unit] == 0)
    return f"{milliseconds // _UNITS[unit]}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    PlainSerializer(_write_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Retry(_Part):
    """How often a failed attempt is made again. The pause before retry n is `delay`, doubled each time unless `fixed`."""

    retries: Annotated[StrictInt, Field(ge=0, le=100)] = Field(3, description="Attempts after the first one.")
    delay: Duration = Field(timedelta(seconds=1), description="The pause before the first retry.")
    backoff: Literal["exponential", "fixed"] = Field("exponential", description="How pauses grow.")
    longest: Duration = Field(timedelta(hours=1), description="No pause is longer, but for jitter of up to a fifth.")


class Reminder(_Part):
    """How whoever is waited for hears of it: a notification in the application, to the person or to the members of the
    state's group; with `template` also a mail to the person."""

    title: Words | None = Field(None, description="Of the notification; else the flow's title.")
    message: Words | None = Field(None, description="Of the notification; else which step waits, and until when.")
    template: Words | None = Field(None, description="Message template of the tenant, for a mail; it may read the case.")
    email_field: FieldName | None = Field(None, description="Member of the case with the address of the mail.")

    @model_validator(mode="after")
    def _says_where_to(self) -> "Reminder":
        if (self.template is None) != (self.email_field is None):
            raise PydanticCustomError("reminder_mail", "template and emailField go together: what is written, and to whom")
        return self


class Sla(_Part):
    """How long the state may wait for somebody. Reminders count from entering it, like the expiry (IN-10)."""

    expires_after: Duration = Field(timedelta(hours=24), description="Counted from entering the state.")
    on_expiry: Literal["cancel", "remind"] = Field("cancel", description="cancel compensates; remind waits on.")
    remind_after: Annotated[tuple[Duration, ...], Field(max_length=10)] = Field((), description="When somebody is reminded.")
    reminder: Reminder = Field(Reminder(), description="How people are reminded.")
    most_reminders: Annotated[StrictInt, Field(ge=1, le=100)] = Field(3, description="With `onExpiry: remind`.")


class Review(_Part):
    """A task for people: in a group's queue, with the fields that they may edit (IN-9)."""

    group: GroupName = Field(description="The group in whose queue the task lies.")
    editable: Annotated[tuple[FieldName, ...], Field(max_length=100)] = Field((), description="Members of the case to edit.")


class StepReview(Review):
    """Who decides when automation gives up. Approve goes on to the transition's `to`."""

    reject: Name = Field(description="State after a rejection.")
    return_to: Name | None = Field(None, description="State after a return; else the state in which the step began.")


class OnFailure(_Part):
    """What follows when a step gives up: a review, or another state. Left out: an incident for an operator."""

    review: StepReview | None = Field(None, description="People decide how it goes on.")
    to: Name | None = Field(None, description="The state to go on in.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> "OnFailure":
        if (self.review is None) == (self.to is None):
            raise PydanticCustomError("on_failure", "say `review` or `to`; without onFailure there is an incident")
        return self


class Handler(_Part):
    """What a step runs. One with effects changes something outside, so its step needs a compensation.

    python: code in the process of the effects worker. http: a signed call. kafka: a request on a topic, and a reply.
    """

    name: HandlerName = Field(description="What transitions call it, and for python the entry point of that name.")
    kind: HandlerKind = Field("python", description="Where it runs.")
    effects: StrictBool = Field(True, description="Whether it changes something outside.")
    url: Url | None = Field(None, description="http: where the call goes; a setting of the worker may name another place.")
    secret: SecretName | None = Field(None, description="http: the tenant's secret that signs; else webhook_signing.")
    topic: TopicName = Field(STEP_REQUESTS, description="kafka: where the request goes.")
    input: Annotated[tuple[FieldName, ...], Field(max_length=100)] = Field(
        (), description="http, kafka: members of the case that the call carries; nothing else of it leaves."
    )
    answer_within: Duration = Field(
        timedelta(hours=24), description="http, kafka: an answer that has not come by then has failed, and nobody knows."
    )

    @model_validator(mode="after")
    def _says_what_its_kind_has(self) -> "Handler":
        idle = sorted(name for name in self.model_fields_set if self.kind not in _KINDS_OF.get(name, (self.kind,)))
        if idle:
            params = {"names": ", ".join(to_camel(name) for name in idle), "kind": self.kind}
            raise PydanticCustomError("not_of_kind", "{names}: not for a handler of kind {kind}", params)
        return self


class State(_Part):
    """Where an instance can be."""

    name: Name = Field(description="Its name in histories and for operators.")
    step: GroupName | None = Field(None, description="What a front end calls it (stepName); else the name.")
    end: End | None = Field(None, description="The journey ends here. rejected: what was done is compensated.")
    sla: Sla | None = Field(None, description="How long it may wait for somebody.")
    review: Review | None = Field(None, description="The state waits for a decision: actions APPROVE, REJECT, RETURN.")
    persist: StrictBool = Field(False, description="A persist point: the case is stored when the state is entered.")


class Transition(_Part):
    """From a state by an action to another one; with a handler by way of a step."""

    from_state: Name = Field(alias="from", description="The state that it leaves.")
    action: Name = Field(description="What the actor says, such as NEXT.")
    to: Name = Field(description="The state that it leads to.")
    actors: Annotated[tuple[Actor, ...], Field(min_length=1)] = Field(description="Who may take it.")
    mode: Mode = Field("sync", description="sync: a caller is told the outcome if it comes within 2 s. async: at once 202.")
    handler: HandlerName | None = Field(None, description="What runs before the state is entered.")
    outcomes: dict[Name, Name] = Field(default_factory=dict, description="Another state for each outcome that has a name.")
    retry: Retry = Field(Retry(), description="How a failed attempt is made again.")
    attempt_timeout: Duration | None = Field(None, description="After it the outcome is unknown, and the next begins.")
    total_timeout: Duration | None = Field(None, description="For all attempts and pauses together.")
    compensation: HandlerName | None = Field(None, description="What undoes the step. It must be idempotent.")
    compensation_retry: Retry = Field(Retry(retries=5), description="The same for the compensation.")
    irreversible: Words | None = Field(None, description="Why a step with effects has no compensation.")
    on_failure: OnFailure | None = Field(None, description="What follows when the step gives up; else an incident.")
    data_schema: GroupName | None = Field(None, description="Part of the case definition that submitted data must fit.")

    @model_validator(mode="after")
    def _needs_a_handler(self) -> "Transition":
        if self.handler is None and (idle := sorted(self.model_fields_set & _OF_STEPS)):
            names = ", ".join(to_camel(name) for name in idle)
            raise PydanticCustomError("no_handler", "{names}: only for a transition with a handler", {"names": names})
        if self.compensation is not None and self.irreversible is not None:
            raise PydanticCustomError("irreversible", "irreversible says why there is no compensation, and there is one")
        return self


class FlowDefinition(_Part):
    """One version of a flow."""

    flow: FlowName = Field(description="Its name, the same in all versions.")
    version: FlowVersion = Field(description="A version never changes once an instance has started on it.")
    title: Words | None = Field(None, description="What people call it.")
    initial: Name = Field(description="The state in which an instance begins.")
    case_definition: GroupName | None = Field(None, description="The case definition whose schema is pinned with the flow.")
    case_class: ClassName | None = Field(None, description="The case class as which persist points store the case.")
    cancel_by: tuple[Literal["USER", "OPERATOR"], ...] = Field(("USER", "OPERATOR"), description="Who may cancel.")
    reopen_to: Name | None = Field(None, description="Where an instance goes on when its work item is reopened.")
    states: Annotated[tuple[State, ...], Field(min_length=1, max_length=500)] = Field(description="Where it can be.")
    transitions: Annotated[tuple[Transition, ...], Field(max_length=2_000)] = Field((), description="What leads on.")
    handlers: Annotated[tuple[Handler, ...], Field(max_length=500)] = Field((), description="What its steps run.")

    def as_document(self) -> dict[str, Any]:
        """The definition in the format's words, without what is default: for export and for comparing two versions."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class _FlowSchema(GenerateJsonSchema):
    """Defaults as a file would say them: pydantic writes durations in ISO 8601, which the format refuses."""

    def encode_default(self, dft: Any) -> Any:
        return _write_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def flow_file_schema() -> dict[str, Any]:
    """The JSON Schema of a flow file."""
    return FlowDefinition.model_json_schema(by_alias=True, mode="validation", schema_generator=_FlowSchema)


_KINDS_OF: dict[str, tuple[HandlerKind, ...]] = {
    "url": ("http",),
    "secret": ("http",),
    "topic": ("kafka",),
    "input": ("http", "kafka"),
    "answer_within": ("http", "kafka"),
}
_OF_STEPS = frozenset(
    {
        "outcomes",
        "retry",
        "attempt_timeout",
        "total_timeout",
        "compensation",
        "compensation_retry",
        "irreversible",
        "on_failure",
    }
)
