"""What must come out of an incident log: counted by hand-written rules, without the state machine, the mapping or the mapper.

Short on purpose, so that it can be checked by reading: two tables and one fold. It shares no code with what it judges.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

WORKING = {"in_progress", "waiting_internal", "waiting_customer", "waiting_external"}
WAITING = WORKING - {"in_progress"}
MOVES = {
    "Assign": ({"open", "in_progress"}, "in_progress"),
    "StartWork": ({"open"}, "in_progress"),
    "BackToInProgress": (WAITING, "in_progress"),
    "SetWaitingCustomer": ({"in_progress"}, "waiting_customer"),
    "SetWaitingExternal": ({"in_progress"}, "waiting_external"),
    "SetWaitingInternal": ({"in_progress"}, "waiting_internal"),
    "Resolve": (WORKING, "resolved"),
    "Close": ({"resolved"}, "closed"),
    "Reopen": ({"resolved", "closed"}, "in_progress"),
}
WISHES = {
    "Awaiting User Info": "SetWaitingCustomer",
    "Awaiting Vendor": "SetWaitingExternal",
    "Awaiting Problem": "SetWaitingInternal",
    "Awaiting Evidence": "SetWaitingInternal",
    "Resolved": "Resolve",
    "Closed": "Close",
}


@dataclass
class Expected:
    """Counts of commands; `refused` by (action, reason)."""

    items: int = 0
    commands: int = 0
    applied: int = 0
    reopened: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


def expected(rows: Iterable[Mapping[str, str]]) -> Expected:
    """Judge a whole log."""
    log, judged = defaultdict(list), Expected()
    for row in rows:
        log[row["number"]].append(row)
    for history in log.values():
        _judge(sorted(history, key=lambda row: int(row["sys_mod_count"])), judged)
    judged.items = len(log)
    return judged


def _judge(history: list[Mapping[str, str]], judged: Expected) -> None:
    status, shown, named = "open", "", "?"
    last = _at(history[0])
    judged.commands += 1
    judged.applied += 1
    reopened = False
    for row in history:
        wishes = []
        if row["incident_state"] != shown:
            wishes = _wishes(row, status)
        if row["assigned_to"] not in ("?", named) and "Assign" not in wishes:
            wishes.append("Assign")
        for wish in wishes:
            allowed, after = MOVES[wish]
            judged.commands += 1
            if status not in allowed:
                judged.refused[wish, "InvalidTransition"] += 1
            elif _at(row) < last:
                judged.refused[wish, "OccurredAtRefused"] += 1
            else:
                judged.applied += 1
                status, last = after, _at(row)
                reopened |= wish == "Reopen"
        shown, named = row["incident_state"], row["assigned_to"]
    judged.reopened += reopened


def _wishes(row: Mapping[str, str], status: str) -> list[str]:
    if row["incident_state"] != "Active":
        return [WISHES[row["incident_state"]]] if row["incident_state"] in WISHES else []
    if status == "open":
        return ["StartWork" if row["assigned_to"] == "?" else "Assign"]
    if status in WAITING:
        return ["BackToInProgress"]
    return ["Reopen"] if status in ("resolved", "closed") else []


def _at(row: Mapping[str, str]) -> datetime:
    return datetime.strptime(row["sys_updated_at"], "%d-%m-%Y %H:%M")  # noqa: DTZ007 - only compared
