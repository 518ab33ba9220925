"""What a process needs to move instances: made once when it starts, and handed to every door."""

from dataclasses import dataclass

from domain.cases.followed_classes import FollowedClasses
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.sealing import Keys
from domain.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Engine:
    """`classes`: the case classes as which persist points store."""

    outbox: Outbox
    keys: Keys
    flows: FollowedFlows
    classes: FollowedClasses
