"""Case classes from YAML files, each class and mapping with its file and line.

Reads everything that can be read: a mistake costs its mapping, not the file, and every mistake is a diagnostic with its
line. Duplicate keys, which YAML readers settle in silence, and aliases, whose content has no line of its own, are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from domain.cases.mapping.forms import definition_of
from domain.cases.mapping.model import ClassDefinition, Code, Diagnostic
from schemas.case_classes import CaseClass, CaseClassFile, ColumnMapping

DEFAULT = Path(__file__).resolve().parents[3] / "definitions" / "cases"
MAX_BYTES = 4_000_000
_MAX_DEPTH = 12
# The C parser is a library of ours when it was built in; both compose the same nodes.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT = "tag:yaml.org,2002:str"

Place = tuple[str | int, ...]


@dataclass(slots=True)
class _Page:
    """One file as plain values, and the line of each."""

    name: str
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)

    def at(self, place: Place) -> str:
        """`file:line` of a place, or of the nearest place around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.name}:{self.lines.get(place, 1)}"

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
    page = _Page(name)
    if len(text) > MAX_BYTES:
        page.refuse("unreadable", f"has more than {MAX_BYTES} characters", f"{name}:1")
        return [], page.problems
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        page.refuse("unreadable", f"is no YAML: {error.problem or error.context}", f"{name}:{mark.line + 1 if mark else 1}")
        return [], page.problems
    except yaml.YAMLError as error:  # a character that YAML forbids has no mark
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        page.refuse("unreadable", "is no YAML: it has a forbidden character", f"{name}:{line}")
        return [], page.problems
    content = _Reader(page).plain(node, ()) if node is not None else None
    return list(_definitions(page, content)), page.problems


class _Reader:
    """Nodes to plain values. Safe tags only: no file makes an object of Python's."""

    def __init__(self, page: _Page) -> None:
        self._page = page
        self._scalars = yaml.constructor.SafeConstructor()
        self._seen: set[int] = set()

    def plain(self, node: yaml.Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self._page.lines.setdefault(place, line)
        where = f"{self._page.name}:{line}"
        if len(place) > _MAX_DEPTH:
            self._page.refuse("unreadable", "is nested too deeply for a file of classes", where)
            return None
        if id(node) in self._seen:
            self._page.refuse("alias", "aliases are not read: write it out, so that every mapping has a line", where)
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*place, position)) for position, item in enumerate(node.value)]
        return self._scalar(node, where)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if key in content:
                before = self._page.lines[(*place, key)]
                self._page.refuse("duplicate-key", f"says {key} twice, first in line {before}", f"{self._page.name}:{line}")
                continue
            self._page.lines[(*place, key)] = line
            content[key] = self.plain(value_node, (*place, key))
        return content

    def _scalar(self, node: yaml.Node, where: str) -> Any:
        if node.tag == _TEXT:
            return node.value
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            self._page.refuse("unreadable", f"{node.value!r} is no value of the kind that YAML takes it for: quote it", where)
            return None


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
