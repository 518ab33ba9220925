"""Between the format's words and the model: one class from a file, a request or a row, and back."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from domain.cases.mapping.model import ClassDefinition, MappingEntry, Provenance, SourceKind
from schemas.case_classes import CaseClass, ColumnMapping


def definition_of(
    said: CaseClass, *, module: str, kind: SourceKind, location: str, mapping_locations: Sequence[str] = ()
) -> ClassDefinition:
    """The class as the resolver takes it. Without locations of their own its mappings have that of the class."""
    places = list(mapping_locations) or [location] * len(said.mappings)
    return ClassDefinition(
        class_name=said.class_name,
        parent=said.parent,
        mixins=tuple(said.mixins),
        is_mixin=said.is_mixin,
        module=module,
        table=said.table,
        mappings=tuple(_entry(line, place) for line, place in zip(said.mappings, places, strict=True)),
        source=Provenance(said.class_name, kind, module, location),
        abstract=said.abstract,
    )


def _entry(line: ColumnMapping, location: str) -> MappingEntry:
    return MappingEntry(**_fields(ColumnMapping, line), location=location)


def form_of(definition: ClassDefinition) -> dict[str, Any]:
    """The class in the format's words, without what is default: for export, and for comparing two versions."""
    form = _said(CaseClass, {**_fields(CaseClass, definition, but="mappings"), "mixins": list(definition.mixins)})
    lines = [_said(ColumnMapping, _fields(ColumnMapping, entry)) for entry in definition.mappings]
    return {**form, "mappings": lines} if lines else form


def _fields(model: type[BaseModel], source: object, but: str = "") -> dict[str, Any]:
    return {name: getattr(source, name) for name in model.model_fields if name != but}


def _said(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Aliases and values of the fields that differ from their defaults."""
    fields = model.model_fields
    return {
        str(fields[name].alias): value
        for name, value in values.items()
        if value != fields[name].get_default(call_default_factory=True) and value != ""
    }
