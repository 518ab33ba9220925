"""The chapter's books: what was told, what ran, what arrived outside; `problems` is empty when everything adds up."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clients.events import EventTally
from demo.rules.oracle import Expected
from demo.rules.outside import Outside

KILLS = 2
# Calls that fall due when their event is judged, so that an incident's come in the order of its changes; the other hook waits
# for a mail first.
IN_ORDER = frozenset({"priority-raised", "reopened", "resolved-without-owner"})


@dataclass
class RuleBooks:
    """`runs` by (rule, status); `left_alone` and `held` by (rule, reason); `assigned` by person; `kills`: seconds each."""

    expected: Expected
    outside: Outside
    events: int
    tally: EventTally = field(default_factory=EventTally)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_alone: Counter[tuple[str, str]] = field(default_factory=Counter)
    tasks: int = 0
    notifications: int = 0
    assigned: Counter[str] = field(default_factory=Counter)
    kills: list[float] = field(default_factory=list)
    seconds: float = 0.0
    late: bool = False
    explained: dict[str, Any] = field(default_factory=dict)

    @property
    def fired(self) -> Counter[str]:
        """Runs by rule."""
        return _summed((rule, count) for (rule, _), count in self.runs.items())

    @property
    def failed(self) -> Counter[str]:
        """Those of them in which an action failed."""
        return _summed((rule, count) for (rule, status), count in self.runs.items() if status != "SUCCESS")

    @property
    def unfinished(self) -> int:
        return sum(count for (_, status), count in self.runs.items() if status in ("PENDING", "RUNNING"))

    @property
    def mails(self) -> Counter[str]:
        """Mails received, each id once, by subject."""
        return Counter(subject for subject in self.outside.mails.first.values() if subject is not None)

    @property
    def calls(self) -> Counter[tuple[str, str, int]]:
        """Webhooks received, each id once, by hook, incident and change."""
        return Counter(_call(told) for told in self.outside.hooks.first.values() if told is not None)

    @property
    def disorder(self) -> int:
        """Webhooks of an incident that came before one of an earlier change."""
        last, found = dict[str, int](), 0
        for told in self.outside.hooks.first.values():
            hook, incident, change = _call(told)
            if hook in IN_ORDER:
                found += change < last.get(incident, change)
                last[incident] = max(change, last.get(incident, change))
        return found

    @property
    def unfair(self) -> int:
        """By how many leads more than its colleague a person got, at most."""
        return max(self.assigned.values(), default=0) - min(self.assigned.values(), default=0)

    def problems(self) -> list[str]:
        """Every line that does not balance."""
        wanted = self.expected
        checks: list[tuple[str, object, object]] = [
            ("kills of the worker with a call on its way", len(self.kills), KILLS),
            ("books still open after all patience", self.late, False),
            ("events accepted at the publish door", self.tally.accepted, self.events),
            ("events refused there", dict(self.tally.refused), {}),
            ("mails without an id of ours", self.outside.mails.times["None"], 0),
            ("tasks", self.tasks, wanted.tasks),
            ("notifications", self.notifications, wanted.notifications),
            ("leads given to a person", self.assigned.total(), wanted.assigned),
            ("webhooks whose signature is wrong", self.outside.hooks.unsigned, 0),
            ("webhooks of an incident out of order", self.disorder, 0),
        ]
        found = [f"{what}: found {found}, should be {should}" for what, found, should in checks if found != should]
        found += _differences("runs of", self.fired, wanted.fired)
        found += _differences("runs with a failed action of", self.failed, wanted.unaddressed)
        found += _differences("distinct mails", self.mails, wanted.mails)
        found += _differences("distinct webhooks", self.calls, wanted.calls)
        return found + ([f"a person got {self.unfair} leads more than another"] if self.unfair > 1 else [])


def _call(told: tuple[str, dict[str, Any]]) -> tuple[str, str, int]:
    path, body = told
    return path.rpartition("/")[2], body["incident"], body["change"]


def _summed(counts: Iterator[tuple[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, count in counts:
        found[name] += count
    return found


def _differences(what: str, found: Counter[Any], wanted: Counter[Any]) -> list[str]:
    return [
        f"{what} {key}: found {found[key]}, should be {wanted[key]}"
        for key in sorted(found.keys() | wanted.keys(), key=str)
        if found[key] != wanted[key]
    ]
