"""The judgement: tables and sinks against the oracle. Zeros wanted; examples say where to look."""

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.torture.rules.books.oracle import Expected, Run, Said
from tests.torture.rules.books.sinks import Sinks, read_title

Figures = dict[str, Any]


@dataclass
class Done:
    """What was done, in the oracle's words."""

    runs: Counter[Run] = field(default_factory=Counter)
    tasks: Counter[Said] = field(default_factory=Counter)
    notes: Counter[tuple[Said, str]] = field(default_factory=Counter)
    statistics: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    armed: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, Said]] = field(default_factory=list)
    mails: list[tuple[str, Said]] = field(default_factory=list)
    effects: int = 0
    parked: int = 0

    @property
    def amounts(self) -> Figures:
        """What a second reading of the same events must leave as it is."""
        counted = {name: sum(getattr(self, name).values()) for name in ("runs", "tasks", "notes")}
        heard = {"calls": len(self.calls), "mails": len(self.mails), "effects": self.effects, "parked": self.parked}
        return {**counted, **heard, "statistics": self.statistics, "armed": len(self.armed)}


async def look(conn: asyncpg.Connection, sinks: Sinks) -> Done:
    """The books as they stand; `conn` sees every tenant."""
    done = Done(calls=sinks.calls, mails=sinks.letters)
    for row in await conn.fetch(_RUNS):
        named = re.fullmatch(re.escape(row["entity_id"]) + r"-(\d+)", json.loads(row["input_data"])["eventId"])
        done.runs[row["rule_name"], row["entity_id"], int(named[1]) if named else None, row["status"]] += 1
    for row in await conn.fetch("select title from work_items"):
        done.tasks[read_title(row["title"])] += 1
    for row in await conn.fetch("select title, user_id from notifications"):
        done.notes[read_title(row["title"]), row["user_id"]] += 1
    done.statistics = {row["name"]: (row["executions"], row["successes"], row["failures"]) for row in await conn.fetch(_COUNTS)}
    done.armed = {row["lead"]: row["due"] for row in await conn.fetch(_ARMED)}
    done.effects = await conn.fetchval("select count(*) from effects")
    done.parked = await conn.fetchval("select count(*) from parked_messages")
    return done


@dataclass
class Verdict:
    """How often the books and the oracle differ, by what."""

    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def note(self, what: str, example: object, times: int = 1) -> None:
        """Something that is not as it must be."""
        self.wrong[what] += times
        if len(self.examples) < 10:
            self.examples.append(f"{what}: {example}")


def judge(expected: Expected, done: Done) -> Verdict:
    """Every difference. What is counted must be equal; what is called must be heard, under one id, in order."""
    verdict = Verdict()
    for name in ("runs", "tasks", "notes"):
        _compare(verdict, name, getattr(expected, name), getattr(done, name))
    for rule in sorted(expected.statistics.keys() | done.statistics.keys()):
        wanted, found = expected.statistics.get(rule, (0, 0, 0)), done.statistics.get(rule, (0, 0, 0))
        if wanted != found:
            verdict.note("statistics", f"{rule}: {found}, expected {wanted}")
    for lead in expected.armed.keys() ^ done.armed.keys():
        verdict.note("armed", lead)
    _heard(verdict, "calls", expected.calls, done.calls)
    _heard(verdict, "mails", expected.mails, done.mails)
    _in_order(verdict, expected, done)
    if done.parked:
        verdict.note("parked", done.parked, done.parked)
    return verdict


def _compare(verdict: Verdict, name: str, wanted: Counter[Any], found: Counter[Any]) -> None:
    for what, times in (wanted - found).items():
        verdict.note(f"{name} missing", what, times)
    for what, times in (found - wanted).items():
        verdict.note(f"{name} too many", what, times)


def _heard(verdict: Verdict, name: str, wanted: set[Said], heard: Iterable[tuple[str, Said]]) -> None:
    ids = set(heard)
    for what in wanted - {said for _, said in ids}:
        verdict.note(f"{name} missing", what)
    for what in {said for _, said in ids} - wanted:
        verdict.note(f"{name} unexpected", what)
    for doubled in (_twice(said for _, said in ids), _twice(one for one, _ in ids)):
        for one in doubled:
            verdict.note(f"{name} under two ids", one)


def _twice(found: Iterable[Hashable]) -> list[Hashable]:
    return [one for one, times in Counter(found).items() if times > 1]


def _in_order(verdict: Verdict, expected: Expected, done: Done) -> None:
    """The first arrivals of each lead's calls, those that its changes order."""
    first: dict[str, dict[Said, None]] = {}
    for _, said in done.calls:
        first.setdefault(said[1], {})[said] = None
    for lead, order in expected.call_order.items():
        heard = [said for said in first.get(lead, {}) if said in order]
        if heard != [said for said in order if said in heard]:
            verdict.note("calls out of order", f"{heard}, expected {order}")


_RUNS = "select rule_name, entity_id, status, input_data from workflow_execution_logs where status <> 'SKIPPED'"
# As the API shows them: what is folded, and what is not yet.
_COUNTS = """
    select r.name, sum(r.execution_count + coalesce(d.executions, 0))::int as executions,
           sum(r.success_count + coalesce(d.successes, 0))::int as successes,
           sum(r.failure_count + coalesce(d.failures, 0))::int as failures
    from workflow_rules r
    left join lateral (
        select sum(executions) as executions, sum(successes) as successes, sum(failures) as failures
        from workflow_rule_deltas w where w.tenant_id = r.tenant_id and w.rule_id = r.id) d on true
    group by r.name having sum(r.execution_count + coalesce(d.executions, 0)) > 0"""
_ARMED = """
    select command ->> 'entityId' as lead, due_at::text as due from timers where kind = 'rule-date' and state = 'armed'"""
