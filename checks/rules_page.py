"""docs/reference/rule-operators.md: what every operator decides, tried out on the compiled rules themselves.

Nothing in the page is written by hand: each cell is the answer of a rule that was compiled for it, so the page cannot say
something else than the code does.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from checks import ROOT, Report
from domain.rules.change import Change
from domain.rules.compiling import compile_rule
from domain.rules.operators import CASELESS, FAMILY, PRESENCE, legal_types, shape_of
from domain.rules.showing import SYMBOLS
from schemas.rules import Condition, Operator, RuleDefinition, TriggerType, ValueType

PAGE = ROOT / "docs" / "reference" / "rule-operators.md"
_NOW = datetime(2026, 6, 15, 5, tzinfo=UTC)
_GONE = object()

_HEAD = """# What every operator decides

<!-- Generated from the compiled rules by `make docs`. -->

`yes`: the condition is met. [Rules](rules.md) says what the words mean.
"""


def check(report: Report, write: bool) -> None:
    report.generated(PAGE, page(), write)


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_legality(), "", *_values(), "", *_presence(), "", *_change(), ""])


def _legality() -> Iterator[str]:
    yield "## Which value types an operator fits\n"
    yield f"| operator | symbol | value | {' | '.join(ValueType)} |"
    yield "|---" * (3 + len(ValueType)) + "|"
    for operator in Operator:
        fits = ["yes" if kind in legal_types(operator) else "" for kind in ValueType]
        yield f"| `{operator}` | {SYMBOLS[operator]} | {shape_of(operator)} | {' | '.join(fits)} |"


def _values() -> Iterator[str]:
    yield "## Comparisons, by value type\n"
    yield "The condition's value is `same`: twice for a range, in capitals for operators that ignore case."
    yield "`unfit` is not of the type.\n"
    columns = ["unfit", "null", "missing", "null with nullMatches", "missing with nullMatches"]
    for kind in ValueType:
        lower, equal, higher, unfit = SAMPLES[kind]
        yield f"### {kind}\n"
        shown = [json.dumps(value, ensure_ascii=False) for value in SAMPLES[kind]]
        yield "`lower` is `{}`, `same` is `{}`, `other` is `{}`, `unfit` is `{}`.\n".format(*shown)
        yield f"| operator | lower | same | other | {' | '.join(columns)} |"
        yield "|---" * 9 + "|"
        for operator in Operator:
            if operator in PRESENCE | FAMILY or kind not in legal_types(operator):
                continue
            condition = _condition(operator, kind, equal)
            cells = [_met(condition, _updated(value)) for value in (lower, equal, higher, unfit, None, _GONE)]
            cells += [_met(condition.model_copy(update={"null_matches": True}), _updated(value)) for value in (None, _GONE)]
            yield f"| `{operator}` | {' | '.join(cells)} |"
        yield ""


def _presence() -> Iterator[str]:
    yield "## Presence\n"
    given = {"a text": "x", '""': "", "blanks": " ", "[]": [], "{}": {}, "0": 0, "false": False, "null": None, "missing": _GONE}
    yield f"| operator | {' | '.join(given)} |"
    yield "|---" * (1 + len(given)) + "|"
    for operator in (one for one in Operator if one in PRESENCE):
        cells = [_met(_condition(operator, ValueType.STRING, None), _updated(value)) for value in given.values()]
        yield f"| `{operator}` | {' | '.join(cells)} |"


def _change() -> Iterator[str]:
    yield "## What was before\n"
    yield "The condition's value is `A`; without a value it asks for no value. `unknown`: an update that does not tell old"
    yield "values and names the field in `changedFields`.\n"
    columns = {
        "A to B": _updated("B", "A"),
        "B to A": _updated("A", "B"),
        "A to A": _updated("A", "A"),
        "B to B": _updated("B", "B"),
        "null to A": _updated("A", None),
        "A to null": _updated(None, "A"),
        "A to missing": _updated(_GONE, "A"),
        "null to missing": _updated(_GONE, None),
        "unknown to A": _changed("UPDATE", "A", None, "field"),
        "CREATE with A": _changed("CREATE", "A", None),
        "DELETE of A": Change("t", "LEAD", "1", "DELETE", {"field": "A"}, None, (), "API", (), _NOW),
    }
    yield f"| operator | {' | '.join(columns)} |"
    yield "|---" * (1 + len(columns)) + "|"
    for operator in (one for one in Operator if one in FAMILY):
        for value, matches, said in (("A", False, ""), (None, False, " without a value"), ("A", True, " with nullMatches")):
            if operator is Operator.CHANGED and said:
                continue
            condition = _condition(operator, ValueType.STRING, value if operator is not Operator.CHANGED else None)
            condition = condition.model_copy(update={"null_matches": matches})
            cells = [_met(condition, change) for change in columns.values()]
            yield f"| `{operator}`{said} | {' | '.join(cells)} |"


def _condition(operator: Operator, kind: ValueType, value: Any) -> Condition:
    shape = shape_of(operator)
    given = [value] if shape == "list" else [value, value] if shape == "range" else value if shape != "none" else None
    if operator in CASELESS:
        given = str(value).upper()
    return Condition(field_name="field", operator=operator, value=given, value_type=kind)


def _met(condition: Condition, change: Change) -> str:
    rule = RuleDefinition(
        name="a cell", trigger_type=TriggerType.ON_UPDATE, entity_type="LEAD", conditions=(condition,), actions=()
    )
    return "yes" if compile_rule("t", "r", 1, rule).matches(change, _NOW) else "no"


def _updated(value: Any, old: Any = None) -> Change:
    return _changed("UPDATE", value, {} if old is _GONE else {"field": old})


def _changed(kind: Any, value: Any, old: dict[str, Any] | None, *names: str) -> Change:
    return Change("t", "LEAD", "1", kind, old, {} if value is _GONE else {"field": value}, names, "API", (), _NOW)


# Lower, same, other, unfit.
SAMPLES: dict[ValueType, tuple[Any, Any, Any, Any]] = {
    ValueType.STRING: ("Huế", "Tiếng Việt", "tiếng việt nam", {"an": "object"}),
    ValueType.NUMBER: (5, "50000", 50000.5, "many"),
    ValueType.BOOLEAN: (False, True, "TRUE", 1),
    ValueType.DATE: ("2025-12-08", "2025-12-09", "2025-12-10T08:00:00Z", "soon"),
    ValueType.DATETIME: ("2025-12-09T00:00:00Z", "2025-12-09T08:00:00+07:00", "2025-12-09T01:00:01Z", "soon"),
    ValueType.ENUM: ("contacted", "CONTACTED", "CONTACTED_TWICE", ["CONTACTED"]),
}
