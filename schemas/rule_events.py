"""What the rules group is told beside entity changes, and what it tells of its runs."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.models import Code, Count, FieldPath, Identifier, Instant, Payload, Version
from schemas.rules import ExecutionStatus, TriggerType


class StartRule(Payload):
    """Let one rule look at one entity: a schedule or a date that is due, or TRIGGER_WORKFLOW of another rule's run.

    `occurrence` names what happened; a rule runs at most once per occurrence and entity, whoever asks however often.
    `conditionsHold`: the sender has seen that they do, by the values that it sends.
    """

    TYPE: ClassVar[str] = "StartRule"
    rule_id: Identifier
    occurrence: Annotated[str, Field(min_length=1, max_length=512)]
    trigger_type: TriggerType
    entity_type: Code
    entity_id: Identifier
    subject_id: Identifier | None = None
    change_type: Literal["CREATE", "UPDATE", "DELETE"] = "UPDATE"
    old_values: dict[str, Any] | None = None
    new_values: dict[str, Any] | None = None
    changed_fields: Annotated[tuple[FieldPath, ...], Field(max_length=1_000)] = ()
    changed_by: Identifier | None = None
    timestamp: Instant
    conditions_hold: bool = False


class RuleRunFinished(Payload):
    """A run has its outcome: ids, codes and counts, never a value of the entity."""

    TYPE: ClassVar[str] = "RuleRunFinished"
    run_id: Identifier
    rule_id: Identifier
    rule_version: Version
    entity_type: Code
    entity_id: Identifier
    trigger_type: TriggerType
    status: ExecutionStatus
    actions_total: Count
    actions_completed: Count
    actions_failed: Count
    actions_skipped: Count
    finished_at: Instant
