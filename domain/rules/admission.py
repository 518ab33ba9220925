"""Whether a rule that matched may run: the loop guard and the limit per entity. Pure.

An upstream that keeps `ce_causation` is stopped by its chain: a rule never re-enters its own chain, and a chain holds at
most `DEPTH` rules (trap 30). One that drops the chain is stopped by rate: at most `RATE` runs of a rule for one entity in
`WINDOW`. Those three are troubles that a person must see; `max_executions_per_entity` (RU-7, trap 6) is a wish.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

DEPTH = 8
RATE = 20
WINDOW = timedelta(minutes=10)
_RULE = "rule:"

Reason = Literal["own-chain", "chain-depth", "rate", "max-executions"]
TROUBLES: frozenset[Reason] = frozenset({"own-chain", "chain-depth", "rate"})


@dataclass(frozen=True, slots=True)
class Guard:
    """What a rule did to an entity so far: the locked row that every start of a run reads and raises."""

    executions: int
    window_started: datetime
    window_runs: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The rule matched and does not run."""

    reason: Reason


def link(rule_id: str) -> str:
    """How a rule stands in a causation chain."""
    return f"{_RULE}{rule_id}"


def admit(rule_id: str, limit: int | None, chain: Sequence[str], guard: Guard, now: datetime) -> Guard | Refused:
    """The guard as it stands after this run, or why there is none. A refused run counts nowhere."""
    rules = [entry for entry in chain if entry.startswith(_RULE)]
    if link(rule_id) in rules:
        return Refused("own-chain")
    if len(rules) >= DEPTH:
        return Refused("chain-depth")
    if limit is not None and guard.executions >= limit:
        return Refused("max-executions")
    # A clock that went back must not leave a window that lies in the future: it would never end.
    if not guard.window_started <= now < guard.window_started + WINDOW:
        return Guard(guard.executions + 1, now, 1)
    if guard.window_runs >= RATE:
        return Refused("rate")
    return replace(guard, executions=guard.executions + 1, window_runs=guard.window_runs + 1)
