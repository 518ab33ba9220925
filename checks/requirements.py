"""Requirement to code to test: compares checks/requirements.yaml with the marks in the tests.

Fails on an unknown id in a mark and, for a part that is finished, on an id without a test or with code that is not
there. Writes docs/reference/requirements.md on every run, so that the page cannot lag behind the tests.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from checks import ROOT, Report, project_files, shown

CATALOGUE = ROOT / "checks" / "requirements.yaml"
PAGE = ROOT / "docs" / "reference" / "requirements.md"
# A mark's name and the catalogue's table that it cites.
MARKS = {"requirement": "requirements", "hole": "holes"}

_HEAD = """# Requirements and their tests

<!-- Generated from checks/requirements.yaml and the marks in the tests by `make check`. -->

`SP-` the spine, `WI-` work items, `RU-` rules, `CD-` cases, `WF-` the engine, `IN-` the interaction service, `trap-` a place
where the documents' own text or sample code is wrong, contradictory or silent. A hole is an interleaving that was proved to
break an earlier design.
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """One id cited by one test."""

    table: str
    id: str
    test: str


def check(report: Report, write: bool) -> None:
    catalogue = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    marks: list[Mark] = []
    for path in project_files("tests/**.py"):
        for mark in marks_of(path.read_text(encoding="utf-8"), shown(path)):
            if mark.id in catalogue[mark.table]:
                marks.append(mark)
            else:
                report.fail(f"{mark.test} is marked with {mark.id!r}, which checks/requirements.yaml does not list")
    tests: dict[str, list[str]] = {}
    for mark in marks:
        tests.setdefault(mark.id, []).append(mark.test)
    for problem in missing(catalogue, tests):
        report.fail(problem)
    _note_unfinished(report, catalogue, tests)
    Report().generated(PAGE, page(catalogue, tests), write=True)


def marks_of(source: str, name: str) -> Iterator[Mark]:
    """Every id that pytest.mark.requirement(...) and pytest.mark.hole(...) cite in one test module."""
    yield from _walk(ast.parse(source), name)


def _walk(node: ast.AST, place: str) -> Iterator[Mark]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        place = f"{place}::{node.name}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MARKS:
        for argument in node.args:
            cited = argument.value if isinstance(argument, ast.Constant) else ast.unparse(argument)
            yield Mark(MARKS[node.func.attr], str(cited), place)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, place)


def missing(catalogue: Mapping[str, Any], tests: Mapping[str, list[str]]) -> list[str]:
    """What a finished part still owes."""
    owed: list[str] = []
    for table in MARKS.values():
        for id_, entry in catalogue[table].items():
            if not catalogue["parts"][entry["part"]]["finished"]:
                continue
            if not tests.get(id_):
                owed.append(f"{id_} has no test: {entry['what']}")
            owed += [f"{id_} names {code}, which does not exist" for code in _code_of(entry) if not _exists(code)]
    return owed


def page(catalogue: Mapping[str, Any], tests: Mapping[str, list[str]]) -> str:
    """The whole page, a section per part."""
    parts = [_HEAD]
    for part, facts in catalogue["parts"].items():
        state = "" if facts["finished"] else " (in the making)"
        parts.append(f"## {facts['title']}{state}\n")
        for table, heads in (("requirements", ["id", "what", "code", "tests"]), ("holes", ["hole", "what", "tests"])):
            rows = [_row(id_, entry, tests) for id_, entry in catalogue[table].items() if entry["part"] == part]
            parts.append("\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *rows]) + "\n")
    return "\n".join(parts)


def _row(id_: str, entry: Mapping[str, Any], tests: Mapping[str, list[str]]) -> str:
    code = [", ".join(f"`{item}`" for item in _code_of(entry))] if "code" in entry else []
    shown_tests = "<br>".join(f"`{test}`" for test in sorted(set(tests.get(id_, []))))
    return "| " + " | ".join([id_, entry["what"], *code, shown_tests]) + " |"


def _note_unfinished(report: Report, catalogue: Mapping[str, Any], tests: Mapping[str, list[str]]) -> None:
    for part, facts in catalogue["parts"].items():
        owed = [id_ for table in MARKS.values() for id_, entry in catalogue[table].items() if entry["part"] == part]
        untested = [id_ for id_ in owed if not tests.get(id_)]
        if untested and not facts["finished"]:
            report.note(f"{part} is in the making; without a test: {', '.join(untested)}")


def _code_of(entry: Mapping[str, Any]) -> list[str]:
    return [item.strip() for item in str(entry.get("code", "")).split(",") if item.strip()]


def _exists(code: str) -> bool:
    return (ROOT / code).exists() or (ROOT / f"{code}.py").exists()
