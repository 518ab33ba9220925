"""An instance as decisions see it: the fold of its history, without anything that a person said.

Values: nobody changes an instance that he was given; `evolve` returns another one. The fold itself works on a copy of its own,
which is what makes it quick. `steps` keeps only what may still matter: the step under way, calls that have not ended, and
forward steps with a compensation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from schemas.onboarding import InstanceStatus
from schemas.workflow_events import Ending, Status

# running: a call is planned or under way; retrying: the next attempt has its time; stalled: a person decides.
StepStatus = Literal["running", "retrying", "stalled", "done", "abandoned"]

FINAL: frozenset[Status] = frozenset({"COMPLETED", "REJECTED", "CANCELED", "COMPENSATED"})
UNDOING: frozenset[Status] = frozenset({"COMPENSATING", "COMPENSATION_FAILED"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step, forward or an undo of one, with all its attempts.

    `open`: attempts whose calls have not ended. `succeeded`: attempts that did. `possible`: the other side did it, or nobody
    knows. `spent`: attempts before an operator gave new retries. For forward steps with a compensation: `undone`, and `again`
    when its call succeeded while the undo was already under way.
    """

    number: int
    state: str
    action: str
    handler: str
    attempt: int
    began_at: datetime
    status: StepStatus = "running"
    open: frozenset[int] = frozenset()
    succeeded: frozenset[int] = frozenset()
    possible: bool = False
    spent: int = 0
    attempt_due: datetime | None = None
    total_due: datetime | None = None
    retry_due: datetime | None = None
    compensation: str | None = None
    undoes: int | None = None
    undone: bool = False
    again: bool = False
    input_from: int | None = None

    @property
    def owes_undo(self) -> bool:
        """Whether an ending must deal with it: it was, or may have been, or may yet be done, and nothing has undone it."""
        return self.compensation is not None and not self.undone and (self.possible or bool(self.open))


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """An open task. `step`: the step that gave up, None where the state itself waits."""

    number: int
    group: str
    step: int | None = None
    editable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """Other input for a failed compensation, in the event of this number; somebody else must approve."""

    number: int
    by: str


@dataclass(slots=True)
class Instance:
    """The folded row. `version` is the number of its last event. `entry` counts entries into states, `tasks` review tasks."""

    tenant_id: str
    id: str
    flow: str
    flow_version: int
    user_id: str
    status: Status
    state: str
    started_at: datetime
    version: int = 0
    entry: int = 0
    entered_at: datetime | None = None
    expires_at: datetime | None = None
    reminders_at: tuple[datetime, ...] = ()
    reminders: int = 0
    work_item_id: str | None = None
    cycle: int = 0
    code_versions: Mapping[str, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    # `name#occurrence` to the number of the event that holds the value.
    side_effects: dict[str, int] = field(default_factory=dict)
    steps: dict[int, Step] = field(default_factory=dict)
    step_count: int = 0
    # The step under way: forward, or an undo once the instance ends.
    current: int | None = None
    review: ReviewTask | None = None
    tasks: int = 0
    proposal: Proposal | None = None
    ending: Ending | None = None
    # What a coupled work item was told last.
    told: InstanceStatus | None = None
    ended_at: datetime | None = None

    @property
    def step(self) -> Step | None:
        """The step under way."""
        return None if self.current is None else self.steps[self.current]

    @property
    def waits(self) -> bool:
        """Whether it waits in its state for somebody, so that the state's SLA counts."""
        if self.status == "AWAITING_REVIEWS":
            return self.review is not None and self.review.step is None
        return self.status == "ACTIVE" and self.current is None


def effect_key(name: str, occurrence: int) -> str:
    """How a side effect is known: by name and occurrence (trap 66)."""
    return f"{name}#{occurrence}"
