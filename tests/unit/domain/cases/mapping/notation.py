"""Classes in one line, as docs/reference/mapping.md writes them: `C < P + A, B { x: $.c integer; y: remove }`."""

import re

from domain.cases.mapping.model import ClassDefinition, MappingEntry, Provenance

_CLASS = re.compile(r"(?P<name>[\w.]+)\s*(?:<\s*(?P<parent>[\w.]+)\s*)?(?:\+\s*(?P<mixins>[\w., ]+?)\s*)?\{(?P<body>[^}]*)\}")


def graph(text: str, *, module: str = "demo") -> dict[str, ClassDefinition]:
    """Classes by name. What is behind a `+` anywhere in the text is a mixin. Locations are `text:<number of the class>`."""
    found = list(_CLASS.finditer(text))
    mixins = {mixin for match in found for mixin in _names(match["mixins"])}
    return {match["name"]: _class(match, module, number, mixins) for number, match in enumerate(found, start=1)}


def _class(match: re.Match[str], module: str, number: int, mixins: set[str]) -> ClassDefinition:
    name, place = match["name"], f"text:{number}"
    entries = tuple(_entry(part.strip(), place) for part in match["body"].split(";") if part.strip())
    source = Provenance(name, "file", module, place)
    return ClassDefinition(name, match["parent"], _names(match["mixins"]), name in mixins, module, None, entries, source)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _entry(text: str, place: str) -> MappingEntry:
    column, _, said = text.partition(":")
    if said.strip() == "remove":
        return MappingEntry(column.strip(), remove=True, location=place)
    path, _, kind = said.strip().partition(" ")
    return MappingEntry(column.strip(), json_path=path, type=kind.strip() or None, location=place)
