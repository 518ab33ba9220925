"""What the twelve rules must do with the published events: counted by hand-written lines, without the rules' engine.

Short on purpose, so that it can be checked by reading: a line for each rule, and a fold to the entities' last values for the
three that the clock starts. It shares no code with what it judges.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Event = Mapping[str, Any]
CRITICAL, HIGH, MODERATE, LOW = "1 - Critical", "2 - High", "3 - Moderate", "4 - Low"
RAISED = {(LOW, MODERATE), (LOW, HIGH), (MODERATE, HIGH)}

# Which events fire a rule: entity type, change type, and a look at the old and the new values.
ON_EVENT: Mapping[str, tuple[str, str, Callable[[Any, Any], bool]]] = {
    "Welcome mail for a new lead": ("LEAD", "CREATE", lambda old, new: True),
    "Give leads from the website to a sales person": ("LEAD", "CREATE", lambda old, new: new["leadSource"] == "WEBSITE"),
    "Tell the manager about a large deal": (
        "OPPORTUNITY", "UPDATE", lambda old, new: old["estimatedValue"] <= 50_000 < new["estimatedValue"]
    ),
    "Proposal mail": ("OPPORTUNITY", "UPDATE", lambda old, new: old["stage"] != new["stage"] == "PROPOSAL"),
    "Priority raised": (
        "INCIDENT", "UPDATE",
        lambda old, new: (old["priority"], new["priority"]) in RAISED or new["priority"] == CRITICAL != old["priority"],
    ),
    "Reassigned three times": (
        "INCIDENT", "UPDATE", lambda old, new: old["reassignmentCount"] < 3 <= new["reassignmentCount"]
    ),
    "Reopened": (
        "INCIDENT", "UPDATE", lambda old, new: old["state"] in ("Resolved", "Closed") and new["state"] == "Active"
    ),
    "Resolved without owner": (
        "INCIDENT", "UPDATE", lambda old, new: old["state"] != new["state"] == "Resolved" and new["assignedTo"] is None
    ),
    "Breached service level": ("INCIDENT", "UPDATE", lambda old, new: old["madeSla"] and not new["madeSla"]),
}  # fmt: skip
FOLLOW_UP, OVERDUE, AWAITING = (
    "Follow up leads that nobody has touched for a week",
    "Escalate an activity that is overdue for a day",
    "Awaiting user for over 24 h",
)
# What a run of a rule asks for: the subject of a mail, or the end of a webhook's address.
SUBJECTS = {
    "Welcome mail for a new lead": "Welcome, {fullName} ({id})",
    "Proposal mail": "Our proposal for {name} ({id})",
    AWAITING: "We wait for your answer about {number} ({id})",
    "Breached service level": "{number} takes longer than promised ({id})",
}
HOOKS = {
    "Priority raised": "priority-raised",
    "Reopened": "reopened",
    "Resolved without owner": "resolved-without-owner",
    "Breached service level": "breached",
}
ADDRESSES = ("email", "contactEmail", "callerEmail")


@dataclass
class Expected:
    """Runs by rule, those of them that lack an address, mails by subject, calls by (hook, incident, change), and the rest."""

    fired: Counter[str] = field(default_factory=Counter)
    unaddressed: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    calls: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    @property
    def tasks(self) -> int:
        return self.fired["Reassigned three times"] + self.fired[FOLLOW_UP]

    @property
    def notifications(self) -> int:
        return self.fired["Tell the manager about a large deal"] + self.fired[OVERDUE]

    @property
    def assigned(self) -> int:
        return self.fired["Give leads from the website to a sales person"]

    def ran(self, rule: str, event: Event) -> None:
        """One run of a rule because of an event, and what it asks for."""
        values = event["newValues"]
        self.fired[rule] += 1
        if rule in SUBJECTS:
            if any(values.get(name) for name in ADDRESSES):
                self.mails[SUBJECTS[rule].format(**values, id=event["entityId"])] += 1
            else:
                self.unaddressed[rule] += 1
        if rule in HOOKS:
            self.calls[HOOKS[rule], event["entityId"], values["modCount"]] += 1


def expected(events: Iterable[Event], now: datetime) -> Expected:
    """Judge all events, each once, and then the clock's rules."""
    judged, last, born, worked_on = Expected(), dict[str, Event](), dict[str, datetime](), dict[str, datetime]()
    for event in events:
        old, new = event["oldValues"], event["newValues"]
        for rule, (entity_type, change_type, fires) in ON_EVENT.items():
            if (event["entityType"], event["changeType"]) == (entity_type, change_type) and fires(old, new):
                judged.ran(rule, event)
        last[event["entityId"]] = event
        at = datetime.fromisoformat(event["timestamp"])
        born.setdefault(event["entityId"], at)
        if related := new.get("relatedTo"):
            worked_on[related["entityId"]] = at
    for entity, event in last.items():
        values, quiet = event["newValues"], max(born[entity], worked_on.get(entity, born[entity])) < now - timedelta(days=7)
        if event["entityType"] == "LEAD" and values["leadStatus"] == "CONTACTED" and quiet:
            judged.ran(FOLLOW_UP, event)
        if event["entityType"] == "ACTIVITY" and values["status"] == "OPEN" and _before(values["dueDate"], now):
            judged.ran(OVERDUE, event)
        if event["entityType"] == "INCIDENT" and values["state"] == "Awaiting User Info" and _before(values["stateSince"], now):
            judged.ran(AWAITING, event)
    return judged


def _before(moment: str, now: datetime) -> bool:
    return datetime.fromisoformat(moment) < now - timedelta(days=1)
