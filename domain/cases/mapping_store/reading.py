"""A class as a request or a row says it: the files' words as JSON, every mistake with its place in them. Pure.

The location of what comes from the database is `<class>@<version>#<JSON pointer>`, so that a finding about a merged graph leads
back to the word that caused it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from domain.cases.mapping.forms import definition_of
from domain.cases.mapping.model import ClassDefinition, Diagnostic
from schemas.case_classes import CaseClass, ColumnMapping

# Of a class that no file has and that names no module.
MODULE = "database"
# A class with more is refused by the limit of columns anyway.
MOST_MAPPINGS = 2_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: a JSON pointer into the class's body ("" when it lies in another class), a stable code, a sentence."""

    class_name: str
    pointer: str
    code: str
    message: str
    severity: str = "error"


def read_body(body: Mapping[str, Any], version: int, module: str = MODULE) -> tuple[ClassDefinition | None, list[Problem]]:
    """The definition, without the mappings that cannot be read, and every mistake of form. `module`: where it names none."""
    name = body.get("className")
    about = name if isinstance(name, str) else ""
    lines = body.get("mappings", [])
    if not isinstance(lines, list) or len(lines) > MOST_MAPPINGS:
        return None, [Problem(about, "/mappings", "form", f"expected a list of at most {MOST_MAPPINGS} mappings")]
    problems, kept = [], []
    for position, line in enumerate(lines):
        wrong = list(_mistakes(ColumnMapping, line, about, f"/mappings/{position}"))
        problems += wrong
        kept += [] if wrong else [position]
    header = list(_mistakes(CaseClass, {**body, "mappings": []}, about, ""))
    if header:
        return None, header + problems
    said = CaseClass.model_validate({**body, "mappings": [lines[position] for position in kept]})
    place = f"{said.class_name}@{version}#"
    definition = definition_of(
        said,
        module=said.module or module,
        kind="db",
        location=place,
        mapping_locations=[f"{place}/mappings/{position}" for position in kept],
    )
    return definition, problems


def located(diagnostics: Iterable[Diagnostic], judged: Mapping[str, ClassDefinition]) -> list[Problem]:
    """Findings about the graph as problems; those that a judged definition causes or takes part in point into its body."""
    return [_located(found, judged) for found in dict.fromkeys(diagnostics)]


def _located(found: Diagnostic, judged: Mapping[str, ClassDefinition]) -> Problem:
    place, _, pointer = found.location.partition("#")
    name = place.rpartition("@")[0]
    if name in judged and judged[name].source.source_location == f"{place}#":
        word = _WORD_OF_MAPPING.get(found.code, "") if pointer else _WORD_OF_CLASS.get(found.code, "")
        return Problem(name, pointer + word, found.code, found.message, found.severity)
    if found.code in _OF_THE_WHOLE and found.class_name in judged:
        return Problem(found.class_name, _WORD_OF_CLASS[found.code], found.code, found.message, found.severity)
    told = f"{found.message} ({found.location})" if found.location else found.message
    for definition in judged.values():
        for entry in definition.mappings:
            if found.column == entry.column:
                word = _WORD_OF_MAPPING.get(found.code, "")
                pointer = entry.location.partition("#")[2] + word
                return Problem(definition.class_name, pointer, found.code, told, found.severity)
    return Problem(found.class_name, "", found.code, told, found.severity)


def _mistakes(model: type[BaseModel], content: Any, about: str, place: str) -> Iterator[Problem]:
    try:
        model.model_validate(content)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            # A name that nobody knows is the caller's own: it is not repeated.
            inner = item["loc"][:-1] if item["type"] == "extra_forbidden" else item["loc"]
            pointer = "".join(f"/{part}" for part in inner if isinstance(part, int) or part in _WORDS)
            message = "has a word that the format does not know" if item["type"] == "extra_forbidden" else item["msg"]
            yield Problem(about, f"{place}{pointer}", "form", message.removeprefix("Value error, "))


_WORDS = {item.alias or name for model in (CaseClass, ColumnMapping) for name, item in model.model_fields.items()}
# Which word of a mapping, or of a class, a finding is about.
_WORD_OF_MAPPING = {
    "column-name": "/plainColumn",
    "column-twice": "/plainColumn",
    "type": "/type",
    "type-conflict": "/type",
    "path": "/jsonPath",
    "two-lists": "/jsonPath",
    "many-values": "/jsonPath",
    "exposed-list": "/exposed",
    "goes-nowhere": "/indexed",
    "child-table": "/childTable",
    "default-unfit": "/default",
    "sensitivity-lost": "/sensitivity",
}
_WORD_OF_CLASS = {
    "unknown-parent": "/parent",
    "unknown-mixin": "/mixins",
    "cycle": "/parent",
    "outside-the-tree": "/parent",
    "parent-is-mixin": "/parent",
    "mixin-twice": "/mixins",
    "mixin-not-marked": "/mixins",
    "table-name": "/table",
    "too-many-columns": "/mappings",
}
# Their place may be any mapping of any ancestor: it is the class that is too much.
_OF_THE_WHOLE = frozenset({"too-many-columns"})
