"""What a process needs to move instances: made once when it starts, and handed to every door."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.cases.followed_classes import FollowedClasses
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.sealing import Keys
from domain.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Engine:
    """`classes`: the case classes as which persist points store. `code_versions`: of the handlers' changes, the newest that the
    installed code knows, which journeys that begin here will follow."""

    outbox: Outbox
    keys: Keys
    flows: FollowedFlows
    classes: FollowedClasses
    code_versions: Mapping[str, int] = field(default_factory=dict)
