"""What each action is told (RU-8, RU-11): one configuration model for each type, with the documents' names.

Texts marked as a template hold `{{path}}` placeholders, and `TEMPLATES` says how each is escaped. Shape only:
domain/rules/checking.py parses the templates and looks up what is named.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from schemas.models import Code, FieldPath, Text
from schemas.rules import LONGEST_WAIT, ActionSpec, ActionType, DocumentId, Part, Unit, ValueType, id_as_text

Template = Annotated[Text, Field(max_length=65_536)]
ShortTemplate = Annotated[Text, Field(min_length=1, max_length=1_000)]
UserTemplate = Annotated[ShortTemplate, BeforeValidator(id_as_text)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
Priority = Literal["LOW", "MEDIUM", "NORMAL", "HIGH", "CRITICAL", "URGENT"]
Target = Literal["text", "html", "json", "url", "header"]


class SendEmail(Part):
    """A stored template to the address in a field of the entity."""

    template_id: DocumentId
    to_field: FieldPath
    cc_emails: Annotated[tuple[ShortTemplate, ...], Field(max_length=50)] = ()
    variables: Annotated[dict[Code, JsonValue], Field(max_length=200)] = Field(default_factory=dict)


class SendNotification(Part):
    """An in-app notification to users, named by id or by placeholder."""

    title: ShortTemplate
    message: Template
    to_users: Annotated[tuple[UserTemplate, ...], Field(min_length=1, max_length=100)]
    priority: Priority = "NORMAL"
    action_url: ShortTemplate | None = None


class UpdateField(Part):
    """One field of the entity; a text may hold placeholders."""

    field_name: FieldPath
    value: JsonValue
    value_type: ValueType = ValueType.STRING


class Work(Part):
    """What a task and an activity have in common."""

    subject: ShortTemplate
    description: Template | None = None
    activity_type: Code | None = None
    priority: Priority = "MEDIUM"
    due_date_offset: Annotated[StrictInt, Field(ge=0, le=100_000)] | None = None
    due_date_unit: Unit = Unit.DAYS
    assign_to_field: FieldPath | None = None
    assign_to: DocumentId | None = None

    @model_validator(mode="after")
    def _assigns_once(self) -> "Work":
        if self.assign_to_field is not None and self.assign_to is not None:
            raise PydanticCustomError("assign_twice", "say assignToField or assignTo, not both")
        return self


class CreateTask(Work):
    """A work item about the entity. `dueDateOffset` counts days unless `dueDateUnit` says otherwise (trap 36)."""


class CreateActivity(Work):
    """An ACTIVITY entity about the entity."""


class AssignTo(Part):
    """DIRECT to one user or team; ROUND_ROBIN over `userIds`, or over the members of `teamId` where none are named."""

    assignment_type: Literal["DIRECT", "ROUND_ROBIN"] = "DIRECT"
    user_id: DocumentId | None = None
    team_id: DocumentId | None = None
    user_ids: Annotated[tuple[DocumentId, ...], Field(max_length=1_000)] = ()

    @model_validator(mode="after")
    def _somebody(self) -> "AssignTo":
        if self.assignment_type == "DIRECT" and ((self.user_id is None) == (self.team_id is None) or self.user_ids):
            raise PydanticCustomError("assign_direct", "DIRECT names one userId or one teamId, and no userIds")
        if self.assignment_type == "ROUND_ROBIN" and (self.user_id is not None or not (self.team_id or self.user_ids)):
            raise PydanticCustomError("assign_round", "ROUND_ROBIN names userIds or a teamId, and no userId")
        return self


class ChangeStage(Part):
    """The stage field of the entity's type."""

    stage: ShortTemplate


class ChangeStatus(Part):
    """The status field of the entity's type."""

    status: ShortTemplate


class AddTag(Part):
    """A tag that the entity has afterwards."""

    tag: ShortTemplate


class RemoveTag(Part):
    """A tag that the entity no longer has afterwards."""

    tag: ShortTemplate


class CallWebhook(Part):
    """A signed HTTP call. Only headers may name a secret."""

    url: Annotated[Text, Field(min_length=1, max_length=2_000)]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: Annotated[dict[HeaderName, Annotated[Text, Field(max_length=4_000)]], Field(max_length=50)] = Field(
        default_factory=dict
    )
    body_template: JsonValue = None


class Delay(Part):
    """Nothing for a while; the next action follows."""

    duration: Annotated[StrictInt, Field(ge=1)]
    unit: Literal["SECONDS", "MINUTES", "HOURS", "DAYS"] = "SECONDS"

    @property
    def seconds(self) -> int:
        """The whole wait."""
        return self.duration * {"SECONDS": 1, "MINUTES": 60, "HOURS": 3_600, "DAYS": 86_400}[self.unit]

    @model_validator(mode="after")
    def _ends(self) -> "Delay":
        if self.seconds > LONGEST_WAIT:
            raise PydanticCustomError("delay_too_long", "the longest delay is 366 days")
        return self


class TriggerWorkflow(Part):
    """Another rule of the tenant for the same entity, in the same chain."""

    rule_id: DocumentId


Configuration = (
    SendEmail
    | SendNotification
    | UpdateField
    | CreateTask
    | CreateActivity
    | AssignTo
    | ChangeStage
    | ChangeStatus
    | AddTag
    | RemoveTag
    | CallWebhook
    | Delay
    | TriggerWorkflow
)


def configuration_of(action: ActionSpec) -> Configuration:
    """The action's configuration as its model. Raises pydantic's ValidationError, which a saved rule never does."""
    return CONFIGURATIONS[action.action_type].model_validate(action.configuration)


CONFIGURATIONS: dict[ActionType, type[Configuration]] = {
    ActionType.SEND_EMAIL: SendEmail,
    ActionType.SEND_NOTIFICATION: SendNotification,
    ActionType.UPDATE_FIELD: UpdateField,
    ActionType.CREATE_TASK: CreateTask,
    ActionType.CREATE_ACTIVITY: CreateActivity,
    ActionType.ASSIGN_TO: AssignTo,
    ActionType.CHANGE_STAGE: ChangeStage,
    ActionType.CHANGE_STATUS: ChangeStatus,
    ActionType.ADD_TAG: AddTag,
    ActionType.REMOVE_TAG: RemoveTag,
    ActionType.CALL_WEBHOOK: CallWebhook,
    ActionType.DELAY: Delay,
    ActionType.TRIGGER_WORKFLOW: TriggerWorkflow,
}

# Which texts of a configuration are templates, and how their values are escaped. "json": a structure of texts, where a text
# that is one placeholder keeps the value's type.
TEMPLATES: dict[type[Configuration], dict[str, Target]] = {
    SendEmail: {"cc_emails": "header", "variables": "json"},
    SendNotification: {"title": "text", "message": "text", "to_users": "text", "action_url": "url"},
    UpdateField: {"value": "json"},
    CreateTask: {"subject": "text", "description": "text"},
    CreateActivity: {"subject": "text", "description": "text"},
    ChangeStage: {"stage": "text"},
    ChangeStatus: {"status": "text"},
    AddTag: {"tag": "text"},
    RemoveTag: {"tag": "text"},
    CallWebhook: {"url": "url", "headers": "header", "body_template": "json"},
}
