"""The chapter's books: who came, how each journey ended, what the bank was asked; no `problems` when all adds up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo.onboarding.applicants import Applicant, expected, expected_rows
from demo.onboarding.payments import Payments

KILLED = ("effects-0", "onboarding-0", "postgresql")

# Of an instance: (handler, idempotency id) of every call that the bank noted, in the order in which it noted them.
Calls = Mapping[str, Sequence[tuple[str, str]]]


@dataclass
class JourneyBooks:
    """`journeys`: the instance of each applicant. `ends`: (flow, fate, status). `kills`: seconds until all stood again.

    `rows`: of the analysts' tables, by flow and state.
    """

    everybody: Sequence[Applicant]
    payments: Payments
    journeys: dict[str, str] = field(default_factory=dict)
    ends: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Calls = field(default_factory=dict)
    decided: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    open_incidents: int = 0
    kills: dict[str, float] = field(default_factory=dict)
    timeline: list[dict[str, Any]] = field(default_factory=list)
    replayed: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def wanted(self) -> Counter[tuple[str, str, str]]:
        """What the flows' files say must become of these applicants."""
        return expected(self.everybody)

    @property
    def wanted_rows(self) -> Counter[tuple[str, str]]:
        """What analysts must see of them."""
        return expected_rows(self.everybody)

    @property
    def noted(self) -> int:
        """Calls in the bank's book."""
        return sum(map(len, self.calls.values()))

    @property
    def steps(self) -> int:
        """Calls that are different ones: the same id again is the same step."""
        return sum(len(set(calls)) for calls in self.calls.values())

    def astray(self) -> list[str]:
        """Journeys whose calls are not those of their fate, in its order, each under one id."""
        found = []
        for one in self.everybody:
            instance = self.journeys.get(one.user_id, "")
            called = [handler for handler, _ in dict.fromkeys(self.calls.get(instance, ()))]
            if tuple(called) != one.fate.calls:
                found.append(f"{one.flow} {instance}, {one.fate.name}: {' '.join(called) or 'nothing'}")
        return found

    def problems(self) -> list[str]:
        """Every line that does not balance."""
        asked = Counter(one.fate.decision for one in self.everybody if one.fate.decision is not None)
        checks: list[tuple[str, object, object]] = [
            ("killed on the way", sorted(self.kills), sorted(KILLED)),
            ("refused at the door", dict(self.refused), {}),
            ("decisions of people", dict(self.decided), dict(asked)),
            ("open incidents of onboarding", self.open_incidents, 0),
            ("payments whose signature is wrong", self.payments.unsigned, 0),
            ("a replayed history is sound", self.replayed.get("sound"), True),
        ]
        found = [f"{what}: found {found}, should be {should}" for what, found, should in checks if found != should]
        found += [
            f"{flow}, {fate}: {self.ends[flow, fate, status]} ended {status}, should be {self.wanted[flow, fate, status]}"
            for flow, fate, status in sorted(self.ends.keys() | self.wanted.keys())
            if self.ends[flow, fate, status] != self.wanted[flow, fate, status]
        ]
        found += [
            f"{flow} in {state}: analysts see {self.rows[flow, state]}, should see {self.wanted_rows[flow, state]}"
            for flow, state in sorted(self.rows.keys() | self.wanted_rows.keys())
            if self.rows[flow, state] != self.wanted_rows[flow, state]
        ]
        astray = self.astray()
        return found + [f"calls of {each}" for each in astray[:5]] + ([f"{len(astray)} journeys astray"] if astray else [])


def read_calls(lines: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """The bank's book by instance."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        instance, handler, id_ = line.split()
        found.setdefault(instance, []).append((handler, id_))
    return found
