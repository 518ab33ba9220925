"""Why events left rules alone: each event of the run is shown again to the rules that its kind concerns, as `explain` does.

What is counted is the first condition that was not met and decided, or that all were met before (`onBecomingTrue`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from domain.rules.change import change_of
from domain.rules.compiling import compile_rule
from domain.rules.index import RuleIndex
from domain.rules.showing import shown_leaf
from domain.rules.tracing import Trace
from schemas.entities import EntityChangeEvent
from schemas.rules import RuleDefinition

TENANT = "demo"


def reasons(rules: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]], now: datetime) -> Counter[tuple[str, str]]:
    """By rule and reason how many events were looked at and left alone."""
    index, found = index_of(rules), Counter[tuple[str, str]]()
    for event in events:
        change = change_of(EntityChangeEvent.model_validate(event))
        for rule, _ in index.candidates(TENANT, change):
            trace = rule.trace(change, now)
            if not trace.matched:
                found[rule.definition.name, _reason(trace)] += 1
    return found


def index_of(rules: Iterable[Mapping[str, Any]]) -> RuleIndex:
    """The rules as documents, ready to look at changes of TENANT."""
    definitions = (RuleDefinition.model_validate(rule) for rule in rules)
    return RuleIndex(compile_rule(TENANT, str(number), 1, told) for number, told in enumerate(definitions))


def _reason(trace: Trace) -> str:
    if trace.held_before:
        return "it was so before the change too"
    first = next(one for one in trace.conditions if one.decided and not one.met)
    return f"not met: {shown_leaf(first.leaf, 'en')}"
