"""Answers about rules and their runs. A rule's words (`rule`) are those of docs/reference/rules.md."""

from datetime import datetime

from api.answers.building_blocks import Answer
from schemas.rules import ActionType, ExecutionStatus, TriggerType


class RuleProblem(Answer):
    """A finding about a rule."""

    pointer: str
    code: str
    severity: str
    message: str


class RuleStatistics(Answer):
    """RU-7."""

    execution_count: int
    success_count: int
    failure_count: int


class RuleView(Answer):
    """A rule. `conditionsShown` has every parenthesis written."""

    id: str
    version: int
    is_active: bool
    rule: dict[str, object]
    conditions_shown: str
    statistics: RuleStatistics
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    warnings: list[RuleProblem]


class RulePage(Answer):
    """RU-14: pages count from 1."""

    items: list[RuleView]
    page: int
    size: int
    total: int


class RuleVersionView(Answer):
    """A version as it was written."""

    version: int
    is_active: bool
    rule: dict[str, object]
    author: str
    reason: str | None
    created_at: datetime


class RuleVersions(Answer):
    """Newest first."""

    items: list[RuleVersionView]


class RunView(Answer):
    """A run in the list (RU-12). `sampled`: no run, but one of many events that the rule looked at and did not match."""

    id: str
    rule_id: str
    rule_version: int
    rule_name: str
    entity_type: str
    entity_id: str
    trigger_type: TriggerType
    occurrence: str
    status: ExecutionStatus
    error_message: str | None
    started_at: datetime
    completed_at: datetime | None
    execution_time_ms: int | None
    actions_total: int
    actions_completed: int
    actions_failed: int
    actions_skipped: int
    sampled: bool


class RunPage(Answer):
    """Newest first; pages count from 1."""

    items: list[RunView]
    page: int
    size: int
    total: int


class RunDetail(RunView):
    """A run, whole: what each condition saw, and what became of each action."""

    input: dict[str, object] | None
    output: dict[str, object] | None
    trace: dict[str, object] | None
    causation: list[str]


class TriedAction(Answer):
    """What an action would ask for, or the code with which it would fail."""

    type: ActionType
    kind: str | None = None
    request: dict[str, object] | None = None
    code: str | None = None


class TrialView(Answer):
    """How a rule looks at one change; nothing was done."""

    entity_id: str
    fires: bool
    triggered: bool
    explanation: list[str]
    trace: dict[str, object]
    actions: list[TriedAction]


class Simulation(Answer):
    """How a rule looks at several changes; nothing was done."""

    looked_at: int
    fires: int
    examples: list[TrialView]


class Explanation(TrialView):
    """Why a rule fired or did not. `verdict` is the first thing that decided."""

    verdict: str
    version: int
    run_id: str | None


class GraphEdge(Answer):
    """One rule can start another."""

    source: str
    target: str
    way: str
    field: str | None


class RuleGraph(Answer):
    """The tenant's rules around one of them."""

    circle: bool
    edges: list[GraphEdge]
    mermaid: str
