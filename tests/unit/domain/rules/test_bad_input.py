"""Whatever is sent as a rule gets an answer, and whatever passes the check compiles and judges any event."""

import copy
import random
from typing import Any

import pytest

from domain.rules.checking import check_document
from domain.rules.compiling import compile_rule
from domain.rules.explaining import explain
from domain.rules.known import KnownNames, named
from domain.rules.problems import errors
from tests.unit.domain.rules import generating
from tests.unit.domain.rules.test_checking import EXAMPLES
from tests.unit.domain.rules.writing import NOW, created, updated

JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    float("nan"),
    "",
    "x",
    "{{",
    "now",
    "[1, 2]",
    [],
    [[]],
    {},
    {"x": 1},
    "\x00",
    "\ud800",
    "9" * 5_000,
]


@pytest.mark.requirement("RU-3", "RU-10", "trap-10")
@pytest.mark.parametrize("seed", range(4))
def test_a_rule_with_anything_anywhere_is_refused_or_runs(seed: int) -> None:
    random_ = random.Random(seed)
    passed = 0
    for _ in range(400):
        rule = generating.a_rule(random_)
        kind = random_.choice(sorted(EXAMPLES))
        rule["actions"] = [{"actionType": kind, "configuration": copy.deepcopy(EXAMPLES[kind])}]
        for _ in range(random_.randint(0, 2)):
            _spoil(random_, rule)
        definition, problems = check_document(rule, KnownNames())
        assert all(problem.sentence("vi") and problem.sentence("en") for problem in problems)
        if definition is None or errors(problems):
            assert problems
            continue
        passed += 1
        named(definition)
        compiled = compile_rule("t1", "r1", 1, definition)
        for change in (updated(generating.an_entity(random_), generating.an_entity(random_)), updated(None), created(None)):
            trace = compiled.trace(change, NOW)
            assert trace.matched is compiled.matches(change, NOW)
            assert explain(trace, "vi")
    assert 50 < passed < 390


def _spoil(random_: random.Random, document: Any) -> None:
    """Puts junk somewhere: in place of a value, or beside one."""
    while True:
        keys: list[Any] = list(document) if isinstance(document, dict) else list(range(len(document)))
        if not keys:
            return
        key = random_.choice(keys)
        if not isinstance(document[key], dict | list) or not document[key] or random_.random() < 0.3:
            break
        document = document[key]
    if isinstance(document, dict) and random_.random() < 0.2:
        key = random_.choice(["surprise", "group", "value", "nullMatches", "checkOldValue", "retryCount"])
    document[key] = copy.deepcopy(random_.choice(JUNK))
