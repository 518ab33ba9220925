"""docs/reference/flows.md: the words of a flow file and what lint finds, from the format's models and lint's own table.

The published JSON Schema is the source, so the page, the editors and the engine know the same words.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from checks import ROOT, Report
from domain.onboarding.flows.problems import SENTENCES, WARNINGS
from schemas.flows import flow_file_schema

PAGE = ROOT / "docs" / "reference" / "flows.md"
Schema = Mapping[str, Any]
# The definitions of the schema in the order in which a reader meets them; the page fails where one is missing.
_PARTS = ("State", "Sla", "Reminder", "Review", "Transition", "Retry", "OnFailure", "StepReview", "Handler")

_HEAD = """# Flows

<!-- Generated from schemas/flows.py and the findings of lint by `make docs`. -->

A flow file is YAML; one file is one version. [Write a flow](../how-to/write-a-flow.md) shows how, [how the engine
decides](../explanation/onboarding.md) what the words do. Unknown words are refused. The JSON Schema for editors is
`schemas/published/flow.schema.json`. A duration is a whole number with `ms`, `s`, `m`, `h` or `d`, such as `24h`, at most ten
years. A NAME is written in capitals, digits and `_`.
"""


def check(report: Report, write: bool) -> None:
    report.generated(PAGE, page(), write)


def page() -> str:
    """The whole page. Raises KeyError where the format has a part that the page does not place."""
    schema = flow_file_schema()
    parts: Schema = schema["$defs"]
    if homeless := set(parts) - set(_PARTS):
        raise KeyError(f"checks/flows_page.py places no section for {sorted(homeless)}")
    sections = [_HEAD, "## The file\n", *_table(schema)]
    for name in _PARTS:
        sections += ["", f"## {name}\n", parts[name]["description"] + "\n", *_table(parts[name])]
    return "\n".join([*sections, "", *_findings(), ""])


def _table(part: Schema) -> Iterator[str]:
    yield "| word | value | default | meaning |"
    yield "|---|---|---|---|"
    for word, told in part["properties"].items():
        default = "**needed**" if word in part.get("required", ()) else _default(told)
        yield f"| `{word}` | {_value(told)} | {default} | {_cell(told.get('description', ''))} |"


def _value(told: Schema) -> str:
    if "$ref" in told:
        name = told["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in told:
        return " or ".join(_value(one) for one in told["anyOf"] if one.get("type") != "null")
    if "enum" in told:
        return ", ".join(f"`{one}`" for one in told["enum"])
    match told.get("type"):
        case "array":
            return f"list of {_value(told['items'])}"
        case "object":
            return "NAME: NAME"
        case "integer":
            return f"number, {told['minimum']} to {told.get('maximum', told.get('exclusiveMaximum'))}"
        case "boolean":
            return "`true`, `false`"
    return _TEXTS.get(told.get("pattern", ""), "text")


def _default(told: Schema) -> str:
    default = told.get("default")
    if default in (None, [], {}):
        return ""
    if isinstance(default, Mapping):
        return ", ".join(f"{name}: {value}" for name, value in default.items())
    shown = ", ".join(default) if isinstance(default, list) else str(default).lower() if isinstance(default, bool) else default
    return f"`{shown}`"


def _findings() -> Iterator[str]:
    yield "## What lint finds\n"
    yield "An error keeps the version from being used, a warning is for its author. `--lang vi` says them in Vietnamese.\n"
    yield "| code | is | sentence |"
    yield "|---|---|---|"
    for code, (english, _) in SENTENCES.items():
        sentence = re.sub(r"{(.+?)}", r"*\1*", english)
        yield f"| `{code}` | {'warning' if code in WARNINGS else 'error'} | {_cell(sentence)} |"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


_TEXTS = {r"^[A-Z][A-Z0-9_]*$": "NAME", r"^([1-9][0-9]{0,8})(ms|s|m|h|d)$": "duration"}
