"""Case classes from YAML files, each class and mapping with its file and line.

Reads everything that can be read: a mistake costs its mapping, not the file, and every mistake is a diagnostic with its
line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from domain.cases.mapping.forms import definition_of
from domain.cases.mapping.model import ClassDefinition, Code, Diagnostic
from domain.lined_yaml import FaultKind, LinedYaml, Place, read_lined
from schemas.case_classes import CaseClass, CaseClassFile, ColumnMapping

DEFAULT = Path(__file__).resolve().parents[3] / "definitions" / "cases"


@dataclass(slots=True)
class _Page:
    """One file as plain values, the line of each, and what is wrong."""

    name: str
    read: LinedYaml
    problems: list[Diagnostic] = field(default_factory=list)

    def at(self, place: Place) -> str:
        """`file:line` of a place, or of the nearest place around it."""
        return f"{self.name}:{self.read.line_of(place)}"

    def refuse(self, code: Code, message: str, location: str, class_name: str = "", column: str | None = None) -> None:
        self.problems.append(Diagnostic("error", code, class_name, column, message, location))


def read_directory(directory: Path = DEFAULT) -> tuple[list[ClassDefinition], list[Diagnostic]]:
    """Every class of every `*.yaml` file, in the order of the files' names; raises FileNotFoundError for no directory."""
    if not directory.is_dir():
        raise FileNotFoundError(2, "there is no such directory of case classes", str(directory))
    definitions: list[ClassDefinition] = []
    problems: list[Diagnostic] = []
    for path in sorted(directory.rglob("*.yaml")):
        found, refused = read_file(path, _shown(path, directory))
        definitions += found
        problems += refused
    return definitions, problems


def read_file(path: Path, name: str) -> tuple[list[ClassDefinition], list[Diagnostic]]:
    """The classes of one file; `name` is how diagnostics and provenance call it."""
    raw = path.read_bytes()
    try:
        return read_text(raw.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return [], [Diagnostic("error", "unreadable", "", None, "is not UTF-8", f"{name}:{line}")]


def read_text(text: str, name: str) -> tuple[list[ClassDefinition], list[Diagnostic]]:
    """The classes of a file's text."""
    found = read_lined(text)
    page = _Page(name, found)
    for fault in found.faults:
        code, message = _FAULTS[fault.kind]
        page.refuse(code, message.format_map(fault.params), f"{name}:{fault.line}")
    if any(fault.kind in _NOTHING_READ for fault in found.faults):
        return [], page.problems
    return list(_definitions(page, found.content)), page.problems


def _definitions(page: _Page, content: Any) -> Iterator[ClassDefinition]:
    if not isinstance(content, dict):
        page.refuse("form", "expected `module` and `classes`", page.at(()))
        return
    rows = content.get("classes") if isinstance(content.get("classes"), list) else []
    header = {**content, "classes": []} if isinstance(content.get("classes"), list) else content
    if not _fits(page, CaseClassFile, header, (), ""):
        return
    for position, row in enumerate(rows or []):
        place: Place = ("classes", position)
        if isinstance(row, dict):
            yield from _definition(page, content["module"], row, place)
        else:
            page.refuse("form", "expected a class with className and mappings", page.at(place))


def _definition(page: _Page, module: str, row: dict[str, Any], place: Place) -> Iterator[ClassDefinition]:
    said = row.get("mappings", [])
    name = row["className"] if isinstance(row.get("className"), str) else ""
    lines = said if isinstance(said, list) else []
    header = {**row, "mappings": []} if isinstance(said, list) else row
    kept = [
        position
        for position, line in enumerate(lines)
        if _fits(page, ColumnMapping, line, (*place, "mappings", position), name)
    ]
    if not _fits(page, CaseClass, header, place, name):
        return
    model = CaseClass.model_validate({**row, "mappings": [lines[position] for position in kept]})
    yield definition_of(
        model,
        module=model.module or module,
        kind="file",
        location=page.at(place),
        mapping_locations=[page.at((*place, "mappings", position)) for position in kept],
    )


def _fits(page: _Page, model: type[BaseModel], content: Any, place: Place, class_name: str) -> bool:
    try:
        model.model_validate(content)
    except ValidationError as error:
        column = content.get("plainColumn") if isinstance(content, dict) else None
        told: set[Place] = set()
        for item in error.errors(include_url=False):
            # A union fails once for each of its kinds; the words of the format are the part that a person wrote.
            key = tuple(part for part in item["loc"] if isinstance(part, int) or part in _WORDS)
            if item["type"] == "extra_forbidden" or key not in told:
                told.add(key)
                message = f"{'.'.join(map(str, key))}: {_message(item)}" if key else _message(item)
                at, column_name = page.at((*place, *item["loc"])), column if isinstance(column, str) else None
                page.refuse("form", message, at, class_name, column_name)
        return False
    return True


def _message(item: Any) -> str:
    given = item["input"]
    if item["type"] == "extra_forbidden":
        return f"{item['loc'][-1]} is no word of the format"
    if item["loc"][:1] == ("default",):
        return "expected text, an integer, true or false; a decimal is written in quotes"
    if item["loc"][:1] == ("type",) and isinstance(given, str):
        return f"{given!r} is none of text, integer, bigint, numeric(p,s), boolean, date, timestamptz, uuid, jsonb"
    if item["type"] == "string_type" and not isinstance(given, dict | list | type(None)):
        return f"expected text; YAML reads this as {type(given).__name__}: put it in quotes"
    return str(item["msg"]).removeprefix("Value error, ")


def _shown(path: Path, directory: Path) -> str:
    # A class of the release is called the same wherever the release is installed.
    relative = path.relative_to(directory)
    return str(Path("definitions", "cases", relative) if directory == DEFAULT else directory / relative)


_WORDS = {
    word
    for model in (CaseClassFile, CaseClass, ColumnMapping)
    for word in (item.alias or name for name, item in model.model_fields.items())
}

_NOTHING_READ = frozenset({"too-long", "no-yaml", "forbidden-character"})
_FAULTS: dict[FaultKind, tuple[Code, str]] = {
    "too-long": ("unreadable", "has more than {most} characters"),
    "no-yaml": ("unreadable", "is no YAML: {reason}"),
    "forbidden-character": ("unreadable", "is no YAML: it has a forbidden character"),
    "too-deep": ("unreadable", "is nested too deeply for a file of classes"),
    "alias": ("alias", "aliases are not read: write it out, so that every mapping has a line"),
    "duplicate-key": ("duplicate-key", "says {key} twice, first in line {before}"),
    "unfit-scalar": ("unreadable", "{value} is no value of the kind that YAML takes it for: quote it"),
}
