"""Workflow rules as people write them (S1): the documents' enums, and a rule's trigger, conditions and actions.

Shape only. Whether an operator fits a type, a path reads, a cron fires or a template is known says domain/rules/checking.py,
all at once. Configurations of actions are in schemas/rule_actions.py. Input models: they forbid unknown fields.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from schemas.models import Code, FieldPath, Identifier, Text

MAX_CONDITIONS = 100
MAX_ACTIONS = 50
LONGEST_WAIT = 366 * 86_400


class TriggerType(StrEnum):
    """What lets a rule look at an entity (RU-2)."""

    ON_CREATE = "ON_CREATE"
    ON_UPDATE = "ON_UPDATE"
    ON_DELETE = "ON_DELETE"
    ON_FIELD_CHANGE = "ON_FIELD_CHANGE"
    ON_STAGE_CHANGE = "ON_STAGE_CHANGE"
    SCHEDULED = "SCHEDULED"
    ON_DATE_FIELD = "ON_DATE_FIELD"


class Operator(StrEnum):
    """How a condition looks at a value: the documents' twenty (RU-3), and the two that only their flag had (RU-4)."""

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    GREATER_THAN = "GREATER_THAN"
    GREATER_THAN_OR_EQUALS = "GREATER_THAN_OR_EQUALS"
    LESS_THAN = "LESS_THAN"
    LESS_THAN_OR_EQUALS = "LESS_THAN_OR_EQUALS"
    CONTAINS = "CONTAINS"
    NOT_CONTAINS = "NOT_CONTAINS"
    STARTS_WITH = "STARTS_WITH"
    ENDS_WITH = "ENDS_WITH"
    IN = "IN"
    NOT_IN = "NOT_IN"
    IS_NULL = "IS_NULL"
    IS_NOT_NULL = "IS_NOT_NULL"
    IS_EMPTY = "IS_EMPTY"
    IS_NOT_EMPTY = "IS_NOT_EMPTY"
    BETWEEN = "BETWEEN"
    CHANGED = "CHANGED"
    CHANGED_TO = "CHANGED_TO"
    CHANGED_FROM = "CHANGED_FROM"
    WAS = "WAS"
    WAS_NOT = "WAS_NOT"


class LogicalOperator(StrEnum):
    """How a condition is joined with the next one (RU-6)."""

    AND = "AND"
    OR = "OR"


class ValueType(StrEnum):
    """As what a value is compared (RU-5)."""

    STRING = "STRING"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    DATE = "DATE"
    DATETIME = "DATETIME"
    ENUM = "ENUM"


class ActionType(StrEnum):
    """What a rule does (RU-8)."""

    SEND_EMAIL = "SEND_EMAIL"
    SEND_NOTIFICATION = "SEND_NOTIFICATION"
    UPDATE_FIELD = "UPDATE_FIELD"
    CREATE_TASK = "CREATE_TASK"
    CREATE_ACTIVITY = "CREATE_ACTIVITY"
    ASSIGN_TO = "ASSIGN_TO"
    CHANGE_STAGE = "CHANGE_STAGE"
    CHANGE_STATUS = "CHANGE_STATUS"
    ADD_TAG = "ADD_TAG"
    REMOVE_TAG = "REMOVE_TAG"
    CALL_WEBHOOK = "CALL_WEBHOOK"
    DELAY = "DELAY"
    TRIGGER_WORKFLOW = "TRIGGER_WORKFLOW"


class ExecutionStatus(StrEnum):
    """Where a run of a rule stands (RU-12)."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


class Unit(StrEnum):
    """In what a time span counts. BUSINESS_DAYS leave out weekends and the tenant's holidays."""

    MINUTES = "MINUTES"
    HOURS = "HOURS"
    DAYS = "DAYS"
    BUSINESS_DAYS = "BUSINESS_DAYS"
    WEEKS = "WEEKS"


def id_as_text(value: object) -> object:
    """The documents' ids are integers; here every id is text."""
    return str(value) if type(value) is int else value


DocumentId = Annotated[Identifier, BeforeValidator(id_as_text)]
# The documents read a type's name in any case.
TypeName = Annotated[ValueType, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Part(BaseModel):
    """A piece of a rule: camelCase on the wire, unknown fields refused, never changed after it was read (trap 11)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Condition(Part):
    """One condition, or with `group` several in parentheses.

    `value` is JSON: a text, number or boolean, a list for IN, NOT_IN and BETWEEN (low, high); JSON in a text is read too.
    `logicalOperator` joins it with the *next* condition; left out it is AND (trap 8). `valueType` left out is STRING.
    """

    field_name: FieldPath | None = None
    operator: Operator | None = None
    value: JsonValue = None
    value_type: TypeName | None = None
    logical_operator: LogicalOperator | None = None
    condition_order: StrictInt | None = None
    group: tuple["Condition", ...] | None = None
    check_old_value: StrictBool | None = None
    old_value_comparison: Operator | None = None
    null_matches: StrictBool = False


class ActionSpec(Part):
    """One action with the documents' defaults (RU-9). `configuration` is read by schemas/rule_actions.py."""

    action_order: StrictInt | None = None
    action_type: ActionType
    configuration: dict[str, JsonValue] = Field(default_factory=dict)
    stop_on_failure: StrictBool = False
    retry_count: Annotated[StrictInt, Field(ge=0, le=100)] = 0
    retry_delay_seconds: Annotated[StrictInt, Field(ge=1, le=LONGEST_WAIT)] = 60
    is_async: StrictBool = False
    delay_seconds: Annotated[StrictInt, Field(ge=0, le=LONGEST_WAIT)] = 0


class Offset(Part):
    """How far from a date field a rule fires: before it when negative."""

    amount: Annotated[StrictInt, Field(ge=-100_000, le=100_000)]
    unit: Unit = Unit.DAYS


class RuleDefinition(Part):
    """What a version of a rule says (RU-7). An equal priority is decided by age, then by id (trap 41)."""

    name: Annotated[Text, Field(min_length=1, max_length=255)]
    description: Annotated[Text, Field(max_length=4_000)] | None = None
    trigger_type: TriggerType
    entity_type: Code
    trigger_field: FieldPath | None = None
    priority: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 100
    max_executions_per_entity: Annotated[StrictInt, Field(ge=1, lt=2**31)] | None = None
    on_becoming_true: StrictBool = False
    cron_expression: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    schedule_timezone: Annotated[Text, Field(min_length=1, max_length=50)] | None = None
    catch_up: Literal["none", "last", "all"] = "last"
    inactive_for_days: Annotated[StrictInt, Field(ge=1, le=3_650)] | None = None
    date_field: FieldPath | None = None
    offset: Offset | None = None
    time_of_day: TimeOfDay | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS)] = ()
    actions: Annotated[tuple[ActionSpec, ...], Field(max_length=MAX_ACTIONS)] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_priority_is_the_default(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("priority", 0) is None:
            return {key: item for key, item in value.items() if key != "priority"}
        return value

    @property
    def ordered_actions(self) -> tuple[ActionSpec, ...]:
        """The actions as they run: by `actionOrder`, then as written."""
        return tuple(sorted(self.actions, key=lambda action: action.action_order or 0))
