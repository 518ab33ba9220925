"""Incidents for the demo, from a seed: an audit log whose shares follow a real one.

The facts (shares of states and of moves between them, ties, gaps, reassignments, forbidden moves, rows that go back in time)
were counted in 890 incidents of the public "incident management process enriched event log" (UCI dataset 498); no row of it
is here. The columns are those of that log, 36 with those that definitions/demo/incidents.yaml maps.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

SEED = 498
FIRST_ROW = {"New": 631, "Active": 221, "Resolved": 29, "Awaiting User Info": 8, "Awaiting Problem": 1}
# Rows follow rows; a state follows itself when only another field changed. Most moves out of New are forbidden ones.
NEXT_ROW = {
    "New": {"New": 1006, "Active": 321, "Resolved": 222, "Awaiting User Info": 80, "Awaiting Problem": 9},
    "Active": {
        "Active": 913,
        "Resolved": 380,
        "Awaiting User Info": 228,
        "Awaiting Problem": 19,
        "Awaiting Vendor": 2,
        "Closed": 1,
        "New": 1,
    },
    "Awaiting User Info": {
        "Awaiting User Info": 586,
        "Resolved": 246,
        "Active": 69,
        "Awaiting Problem": 7,
        "Awaiting Vendor": 1,
        "Awaiting Evidence": 1,
    },
    "Awaiting Problem": {"Awaiting Problem": 35, "Resolved": 22, "Active": 7, "Awaiting User Info": 7},
    "Awaiting Vendor": {"Awaiting Vendor": 4, "Active": 1, "Awaiting User Info": 1, "Awaiting Evidence": 1},
    "Awaiting Evidence": {"Resolved": 2},
    "Resolved": {"Closed": 889, "Resolved": 28, "Active": 12},
    "Closed": {"Closed": 7},
}
CLOSED_STAYS = 0.0078
GAPS = {0: 4396, 1: 334, 2: 128, 3: 48, 4: 35, 5: 28, 6: 21, 11: 21}
MINUTES = {0: 492, 1: 500, 3: 520, 24: 600, 180: 500, 538: 700, 2_000: 600, 4_079: 500, 9_848: 500, 21_613: 200}
BACK_IN_TIME = 0.001
ASSIGNED_AT_FIRST, GETS_ASSIGNED, REASSIGNED, UNASSIGNED = 0.645, 0.13, 0.042, 0.026
PRIORITIES = {"3 - Moderate": 5046, "4 - Low": 573, "2 - High": 235, "1 - Critical": 144}
PEOPLE, GROUPS, UPDATERS = 122, 61, 400
SYMPTOM_KNOWN, KNOWN_SHARE, CONFIRMED_SHARE = 0.77, 0.18, 0.29
HANDED_ON, OTHER_PRIORITY, CLOSED_TOO_LATE = 0.172, 0.0088, 0.444
CONTACTS = {"Phone": 990, "Self service": 6, "Email": 3, "IVR": 1}
NOBODY = "?"

Row = dict[str, str]
Value = TypeVar("Value")


def incidents(count: int, seed: int = SEED) -> Iterator[Row]:
    """The rows of `count` incidents, in no useful order of time, like an export."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        yield from _incident(chance, f"INC{number:07d}")


def _incident(chance: random.Random, number: str) -> Iterator[Row]:
    state, priority = _pick(chance, FIRST_ROW), _pick(chance, PRIORITIES)
    assignee = _person(chance) if chance.random() < ASSIGNED_AT_FIRST else NOBODY
    at = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(90 * 24 * 60))
    group, order = f"Group {chance.randrange(1, GROUPS + 1)}", 0
    facts, turns = _facts(number, at), _Turns(random.Random(f"turns of {number}"), priority, group)
    while True:
        yield (
            facts
            | turns.row()
            | {
                "number": number,
                "incident_state": state,
                "sys_mod_count": str(order),
                "sys_updated_at": at.strftime("%d-%m-%Y %H:%M"),
                "sys_updated_by": f"Updated by {chance.randrange(1, UPDATERS + 1)}",
                "assigned_to": assignee,
                "active": str(state != "Closed").upper(),
            }
        )
        if state == "Closed" and chance.random() > CLOSED_STAYS:
            return
        before, state = state, _pick(chance, NEXT_ROW[state])
        assignee = _next_assignee(chance, assignee)
        turns.go_on(before, state)
        order += 1 + _pick(chance, GAPS)
        at += timedelta(minutes=_pick(chance, MINUTES) if chance.random() > BACK_IN_TIME else -chance.randrange(1, 600))


class _Turns:
    """What may turn while an incident goes on. It has a chance of its own, so that the moves stay what they are."""

    def __init__(self, chance: random.Random, priority: str, group: str) -> None:
        self._chance, self._priority, self._group = chance, priority, group
        self._reassigned = self._reopened = 0
        self._made_sla = True

    def row(self) -> Row:
        """The columns as they are now."""
        return {
            "priority": self._priority,
            "assignment_group": self._group,
            "reassignment_count": str(self._reassigned),
            "reopen_count": str(self._reopened),
            "made_sla": str(self._made_sla).upper(),
        }

    def go_on(self, before: str, state: str) -> None:
        """To the next row. What took too long is known when it is closed."""
        self._reopened += (before, state) == ("Resolved", "Active")
        if self._chance.random() < HANDED_ON:
            self._group = f"Group {self._chance.randrange(1, GROUPS + 1)}"
            self._reassigned += 1
        if (before, state) == ("Resolved", "Closed") and self._chance.random() < CLOSED_TOO_LATE:
            self._made_sla = False
        if self._chance.random() < OTHER_PRIORITY:
            self._priority = _pick(
                self._chance, {name: weight for name, weight in PRIORITIES.items() if name != self._priority}
            )


def _facts(number: str, opened: datetime) -> Row:
    """The fields that tell an incident's story and no state: drawn apart, so that the moves stay what they are."""
    chance = random.Random(number)
    clock = opened.strftime("%d-%m-%Y %H:%M")
    return dict.fromkeys(
        ("cmdb_ci", "problem_id", "rfc", "vendor", "caused_by", "resolved_by", "resolved_at", "closed_at"), NOBODY
    ) | {
        "caller_id": f"Caller {chance.randrange(1, 5000)}",
        "opened_by": f"Opened by {chance.randrange(1, 200)}",
        "opened_at": clock,
        "sys_created_by": f"Created by {chance.randrange(1, 180)}",
        "sys_created_at": clock,
        "contact_type": _pick(chance, CONTACTS),
        "location": f"Location {chance.randrange(1, 220)}",
        "category": f"Category {chance.randrange(1, 60)}",
        "subcategory": f"Subcategory {chance.randrange(1, 250)}",
        "u_symptom": f"Symptom {chance.randrange(1, 500)}" if chance.random() < SYMPTOM_KNOWN else NOBODY,
        "impact": _pick(chance, {"2 - Medium": 94, "1 - High": 3, "3 - Low": 3}),
        "urgency": _pick(chance, {"2 - Medium": 94, "1 - High": 4, "3 - Low": 2}),
        "knowledge": str(chance.random() < KNOWN_SHARE).upper(),
        "u_priority_confirmation": str(chance.random() < CONFIRMED_SHARE).upper(),
        "notify": "Do Not Notify",
        "closed_code": f"code {chance.randrange(1, 18)}",
    }


def _next_assignee(chance: random.Random, assignee: str) -> str:
    luck = chance.random()
    if assignee == NOBODY:
        return _person(chance) if luck < GETS_ASSIGNED else NOBODY
    if luck < REASSIGNED:
        return _person(chance)
    return NOBODY if luck < REASSIGNED + UNASSIGNED else assignee


def _person(chance: random.Random) -> str:
    return f"Resolver {chance.randrange(1, PEOPLE + 1)}"


def _pick(chance: random.Random, weights: dict[Value, int]) -> Value:
    return chance.choices(list(weights), list(weights.values()))[0]
