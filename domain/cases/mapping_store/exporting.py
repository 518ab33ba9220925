"""Classes as a file of definitions/cases, each class and mapping with where it came from as a comment. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from domain.cases.mapping.forms import form_of
from domain.cases.mapping.model import ClassDefinition
from domain.cases.mapping_store.reading import MODULE

_SCHEMA = "# yaml-language-server: $schema=../../schemas/published/case-classes.schema.json"


def yaml_of(definitions: Iterable[ClassDefinition]) -> str:
    """The text of one file. Read again it gives the same definitions, from other places."""
    ordered = sorted(definitions, key=lambda found: found.class_name)
    module = ordered[0].module if ordered else MODULE
    lines = [_SCHEMA, "", f"module: {_flow(module)}", "", "classes:"]
    for definition in ordered:
        lines += [*_class(definition, module), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _class(definition: ClassDefinition, module: str) -> Iterator[str]:
    words = form_of(definition)
    mappings = words.pop("mappings", [])
    if words.get("module") == module:
        del words["module"]
    yield f"  # {definition.source.source_kind}: {definition.source.source_location}"
    for number, (word, value) in enumerate(words.items()):
        yield f"  {'-' if number == 0 else ' '} {word}: {_flow(value)}"
    if mappings:
        yield "    mappings:"
        for line, entry in zip(mappings, definition.mappings, strict=True):
            yield f"      - {_flow(line)}  # {entry.location or definition.source.source_location}"


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
