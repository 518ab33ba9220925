"""`python -m benchmarks.rules.judging [--pairs 5]`: B3, what it costs to judge one event by a hundred rules, beside zen-engine.

The same hundred rules of three conditions (ground.py) on updates of an entity of 30 fields, one core, no I/O:

ours          RuleIndex.candidates, then each rule's `matches`: types, nulls, Vietnamese text, old values, groups
ours, traced  the same with a record of every rule kept: the values that all of its conditions look at, from which `Trace` tells
closures      the other way to compile, for comparison: the full meaning of each condition as closures, no generated source
array         zen-engine's fastest form: one compiled expression, an array of all hundred
expressions   zen-engine's plain form: a hundred compiled expressions

Both must answer the same for every event before anything is timed. The index is timed with 1,000 rules of which ten are
candidates beside the ten alone. Alternated pairs; results: benchmarks/rules/judging/results.json and results.md.
"""

import argparse
import json
import os
import platform
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from importlib.metadata import version
from pathlib import Path
from typing import Any

import zen

from benchmarks.rules.judging import ground
from domain.rules.change import Change
from domain.rules.compiling import CompiledRule, compile_rule
from domain.rules.conditions import Leaf, Node
from domain.rules.index import RuleIndex
from domain.rules.judging import ChangeTest, change_test
from schemas.rules import LogicalOperator, TriggerType

RESULTS = Path(__file__).parent
AIMS = {"array": 1.0, "expressions": 25.0, "traced of array": 0.5, "index": 1.5}
EVENTS = 200

Work = Callable[[], object]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    asked = parser.parse_args()
    random_ = random.Random(1)
    changes = [ground.change(random_) for _ in range(EVENTS)]
    rates = _alternated(_works(changes), asked.pairs, asked.seconds)
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "load": [round(load, 1) for load in os.getloadavg()],
            "kernel": platform.release(),
        },
        "versions": {"python": platform.python_version(), "zen-engine": version("zen-engine")},
        "pairs": asked.pairs,
        "aims": AIMS,
        "events_per_second": {name: _spread(of) for name, of in rates.items()},
        "ratios": {
            "ours of array": _ratio(rates["ours"], rates["array"]),
            "ours of expressions": _ratio(rates["ours"], rates["expressions"]),
            "ours of closures": _ratio(rates["ours"], rates["closures"]),
            "traced of array": _ratio(rates["ours, traced"], rates["array"]),
        },
        "index": _index(changes, asked.pairs, asked.seconds / 4),
        "compiling": _compiling(),
    }
    (RESULTS / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "results.md").write_text(page(result))
    print(page(result))
    return 0


def _works(changes: list[Change]) -> dict[str, Work]:
    rules = _compiled()
    index = RuleIndex(rules)
    array = zen.compile_expression("[" + ", ".join(expression for _, expression in ground.hundred()) + "]")
    expressions = [zen.compile_expression(expression) for _, expression in ground.hundred()]
    contexts = [{"old": change.old, "new": change.new} for change in changes]
    _must_agree(rules, changes, [array.evaluate(context) for context in contexts])
    now, few = ground.NOW, contexts[:10]

    def ours() -> None:
        for change in changes:
            for rule, _ in index.candidates(ground.TENANT, change):
                rule.matches(change, now)

    def traced() -> list[list[tuple[Any, ...]]]:
        return [[rule.observe(change, now) for rule, _ in index.candidates(ground.TENANT, change)] for change in changes]

    nested = [_closure(rule.tree, rule.zone) for rule in rules]
    assert all(test(changes[0], now) is rule.matches(changes[0], now) for test, rule in zip(nested, rules, strict=True))

    return {
        "ours": ours,
        "closures": lambda: [test(change, now) for change in changes for test in nested],
        "array": lambda: [array.evaluate(context) for context in contexts],
        "ours, traced": traced,
        # A tenth of the events: they are slow. The rate is counted by event.
        "expressions": lambda: [one.evaluate(context) for context in few for one in expressions],
    }


EVENTS_OF = {"expressions": 10}


def _closure(node: Node | None, zone: tzinfo) -> ChangeTest:
    if node is None:
        return lambda change, now: True
    if isinstance(node, Leaf):
        return change_test(node, zone)
    parts, settles = [_closure(part, zone) for part in node.parts], node.word is LogicalOperator.OR

    def joined(change: Change, now: datetime) -> bool:
        for part in parts:
            if part(change, now) is settles:
                return settles
        return not settles

    return joined


def _compiled() -> list[CompiledRule]:
    return [
        compile_rule(ground.TENANT, f"r{at:03}", 1, definition, created_order=at)
        for at, (definition, _) in enumerate(ground.hundred())
    ]


def _must_agree(rules: list[CompiledRule], changes: list[Change], theirs: list[Any]) -> None:
    ours = [[rule.matches(change, ground.NOW) for rule in rules] for change in changes]
    if ours != theirs:
        raise SystemExit("the two decide differently")
    if not all(any(row) for row in zip(*ours, strict=True)) and sum(map(sum, ours)) < len(changes):
        raise SystemExit("too few matches: the comparison shows nothing")


def _index(changes: list[Change], pairs: int, seconds: float) -> dict[str, Any]:
    """Ten candidates among a thousand rules, beside the ten alone."""
    ten = [definition for definition, _ in ground.hundred()[:10]]
    others = [
        definition.model_copy(update={"entity_type": kind, "trigger_type": trigger, "trigger_field": field})
        for at in range(99)
        for definition in ten
        for kind, trigger, field in [_ELSEWHERE[at % len(_ELSEWHERE)]]
    ]
    alone = RuleIndex(compile_rule(ground.TENANT, f"r{at}", 1, one) for at, one in enumerate(ten))
    among = RuleIndex(compile_rule(ground.TENANT, f"r{at}", 1, one) for at, one in enumerate([*ten, *others]))
    assert (len(alone), len(among)) == (10, 1_000)

    def judged(index: RuleIndex) -> Work:
        def work() -> None:
            for change in changes:
                for rule, _ in index.candidates(ground.TENANT, change):
                    rule.matches(change, ground.NOW)

        return work

    rates = _alternated({"ten": judged(alone), "thousand": judged(among)}, pairs, seconds)
    return {
        "microseconds_per_event": {name: _spread([1e6 / rate for rate in of]) for name, of in rates.items()},
        "times_dearer": _ratio(rates["ten"], rates["thousand"]),
    }


_ELSEWHERE: list[tuple[str, TriggerType, str | None]] = [
    ("CONTACT", TriggerType.ON_UPDATE, None),
    ("LEAD", TriggerType.ON_CREATE, None),
    ("LEAD", TriggerType.ON_DELETE, None),
    ("LEAD", TriggerType.ON_STAGE_CHANGE, None),
    ("LEAD", TriggerType.ON_FIELD_CHANGE, "region"),
]


def _compiling() -> dict[str, float]:
    hundred = ground.hundred()
    began = time.perf_counter()
    _compiled()
    spent = time.perf_counter() - began
    tracemalloc.start()
    kept = [compile_rule(ground.TENANT, "r", 1, definition) for definition, _ in hundred]
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return {"microseconds_per_rule": round(spent / len(hundred) * 1e6), "bytes_per_rule": round(held / len(kept))}


def _alternated(works: dict[str, Work], pairs: int, seconds: float) -> dict[str, list[float]]:
    """Events a second of each, run by run; the order turns, so that neither always follows the other."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for number in range(pairs):
        for name in list(works) if number % 2 == 0 else reversed(works):
            began, calls = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                works[name]()
                calls += 1
            rates[name].append(calls * EVENTS_OF.get(name, EVENTS) / (time.perf_counter() - began))
    return rates


def _ratio(ours: list[float], theirs: list[float]) -> dict[str, float]:
    return _spread([mine / other for mine, other in zip(ours, theirs, strict=True)])


def _spread(values: list[float]) -> dict[str, float]:
    digits = None if min(values) > 100 else 2
    return {
        "median": round(statistics.median(values), digits),
        "least": round(min(values), digits),
        "most": round(max(values), digits),
    }


def page(result: dict[str, Any]) -> str:
    """The figures as a page."""
    versions, compiling = result["versions"], result["compiling"]
    return f"""# A hundred rules on one event

<!-- Written by `python -m benchmarks.rules.judging` ({result["when"]}); its docstring says what is compared. -->

One core, {result["pairs"]} alternated pairs, Python {versions["python"]}, zen-engine {versions["zen-engine"]}.
Both decide the same for every event before anything is timed.

| events a second | median | least | most |
|---|---|---|---|
{_rows(result["events_per_second"])}

| ratio, pair by pair | median | least | most |
|---|---|---|---|
{_rows(result["ratios"])}
{_rows({"1,000 rules with ten candidates, times dearer than the ten": result["index"]["times_dearer"]})}

Compiling a rule takes {compiling["microseconds_per_rule"]} microseconds and keeps {compiling["bytes_per_rule"]} bytes.
"""


def _rows(spreads: dict[str, dict[str, float]]) -> str:
    return "\n".join(f"| {name} | {of['median']:,} | {of['least']:,} | {of['most']:,} |" for name, of in spreads.items())


if __name__ == "__main__":
    raise SystemExit(main())
