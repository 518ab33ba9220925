"""Lives of work items with legal actions only, and what must become of each: by hand, not by the state machine."""

import random
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID, uuid4, uuid5

from domain.work_items.importing import ImportCommand
from schemas.work_items import Action, ApplyAction, CreateWorkItem, Status

Door = Literal["http", "kafka"]

TENANTS = ("north", "south", "west")
PEOPLE = ("an", "binh", "chi", "dung")

PATHS: tuple[tuple[Action, ...], ...] = (
    ("Create", "Assign", "SetWaitingCustomer", "BackToInProgress", "Resolve", "Close"),
    ("Create", "StartWork", "SetWaitingInternal", "Resolve", "Reopen", "Resolve", "Close", "Reopen", "Resolve"),
    ("Create", "Assign", "SetWaitingExternal", "BackToInProgress", "Cancel"),
    ("Create", "StartWork", "SetWaitingCustomer", "BackToInProgress", "SetWaitingExternal", "Resolve"),
)
AFTER: dict[str, Status] = {
    "Create": "open",
    "Assign": "in_progress",
    "StartWork": "in_progress",
    "SetWaitingInternal": "waiting_internal",
    "SetWaitingCustomer": "waiting_customer",
    "SetWaitingExternal": "waiting_external",
    "BackToInProgress": "in_progress",
    "Resolve": "resolved",
    "Close": "closed",
    "Reopen": "in_progress",
    "Cancel": "canceled",
}


@dataclass
class Life:
    """One item: its whole path, and through which door each command goes. `done` is what was acknowledged, in order."""

    item: UUID
    tenant: str
    path: tuple[Action, ...]
    doors: tuple[Door, ...]
    done: list[Action] = field(default_factory=list)

    def command(self, step: int) -> ImportCommand:
        """The step's command under its stable id."""
        action = self.path[step]
        person = PEOPLE[self.item.int % len(PEOPLE)]
        given: CreateWorkItem | ApplyAction
        if action == "Create":
            given = CreateWorkItem(work_item_id=str(self.item), title="Generated request", process="general")
        else:
            assignee = person if action == "Assign" else None
            given = ApplyAction(work_item_id=str(self.item), action=action, new_assignee_id=assignee)
        return ImportCommand(uuid5(self.item, str(step)), self.tenant, given)

    @property
    def history(self) -> list[str]:
        """The actions that the state history must hold: what Create sends is a draft and its Submit."""
        return [step for action in self.done for step in (("Create", "Submit") if action == "Create" else (action,))]

    @property
    def statuses(self) -> list[str]:
        """The statuses that the events must tell of, in order."""
        return [AFTER[action] for action in self.done]


def new_life(chance: random.Random, *, only_http: bool = False) -> Life:
    """Over Kafka, or begun over HTTP and gone on over Kafka, or (`only_http`) all over HTTP.

    Never back from Kafka to HTTP: a Kafka command is acknowledged before it is applied.
    """
    path = chance.choice(PATHS)
    over_http = len(path) if only_http else chance.choice((0, chance.randint(1, len(path) - 1)))
    doors: tuple[Door, ...] = tuple("http" if step < over_http else "kafka" for step in range(len(path)))
    return Life(uuid4(), chance.choice(TENANTS), path, doors)
