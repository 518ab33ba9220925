"""One interaction as it stands. Pure.

Its tag (ETag) is `version.entry.case.STATUS`: two tags mean the same where entry, case and status are equal, so a reminder or a
retry behind the scenes makes nobody's view stale. `version` says since when to tell what changed.
"""

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from domain.onboarding.flow import Flow

Status = Literal["AWAITING_INPUT", "RUNNING", "AWAITING_REVIEWS", "CLOSING", "COMPLETED", "REJECTED", "CANCELED"]
ENDED: frozenset[str] = frozenset({"COMPLETED", "REJECTED", "CANCELED"})
_TAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,17})\.([0-9]{1,18})\.([0-9]{1,18})\.([A-Z_]{1,20})"')


class Tag(NamedTuple):
    """What a front end has seen."""

    version: int
    entry: int
    case: int
    status: str

    def same_as(self, other: "Tag") -> bool:
        """Whether both show the same."""
        return self[1:] == other[1:]

    def __str__(self) -> str:
        return f'"{self.version}.{self.entry}.{self.case}.{self.status}"'


def read_tag(text: str) -> Tag | None:
    """A tag as it was given; None: it is none of ours, so it matches nothing."""
    found = _TAG.fullmatch(text.strip())
    return Tag(int(found[1]), int(found[2]), int(found[3]), found[4]) if found else None


@dataclass(frozen=True, slots=True)
class Interaction:
    """`case_sealed` is for (instance, case version); `entry` counts entries into states."""

    id: str
    tenant_id: str
    user_id: str
    instance_id: str
    flow: str
    flow_version: int
    state: str
    status: Status
    entry: int
    version: int
    case_version: int = 0
    case_sealed: bytes | None = field(default=None, repr=False)

    @property
    def tag(self) -> Tag:
        return Tag(self.version, self.entry, self.case_version, self.status)

    @property
    def subject(self) -> tuple[str, str]:
        return (self.tenant_id, self.user_id)


def step_name(flow: Flow, state: str) -> str:
    """What a front end calls a state."""
    return flow.states[state].step or state


def actions(flow: Flow, interaction: Interaction) -> tuple[str, ...]:
    """What the customer can do now."""
    return flow.actions(interaction.state, frozenset({"USER"})) if interaction.status == "AWAITING_INPUT" else ()
