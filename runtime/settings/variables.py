"""The table of environment variables, derived from the model: key, place in the model, legal values, secrecy.

Reading, redaction, suggestions and the reference page all use this one table.
"""

import types
import typing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from runtime.settings.model import Settings

PREFIX = "CASESTREAM_"
REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable and the field it fills."""

    key: str
    path: tuple[str, ...]
    field: FieldInfo
    section: str

    @property
    def is_secret(self) -> bool:
        return SecretStr in _members(self.field.annotation)

    @property
    def is_json(self) -> bool:
        return typing.get_origin(self.field.annotation) is list

    @property
    def may_be_file(self) -> bool:
        """Secrets and lists may stand in a file that KEY_FILE names, as orchestrators mount them."""
        return self.is_secret or self.is_json

    @property
    def legal(self) -> str:
        """The legal values in words."""
        return describe(self.field)

    @property
    def default(self) -> str:
        if self.field.is_required():
            return "required"
        if self.field.default_factory is not None:
            return "the machine's"
        return "none" if self.field.default is None else str(self.field.default) or '""'


@cache
def variables() -> dict[str, Variable]:
    """Every variable by key, in the model's order."""
    found: dict[str, Variable] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            summary = (field.annotation.__doc__ or "").strip()
            for inner, inner_field in field.annotation.model_fields.items():
                key = f"{PREFIX}{name}__{inner}".upper()
                found[key] = Variable(key, (name, inner), inner_field, summary)
        else:
            key = str(field.validation_alias or f"{PREFIX}{name}".upper())
            found[key] = Variable(key, (name,), field, "")
    return found


def describe(field: FieldInfo) -> str:
    """A field's legal values in words: "a whole number from 1 to 20000"; a title says it better."""
    if field.title:
        return field.title
    choices = typing.get_args(field.annotation) if typing.get_origin(field.annotation) is typing.Literal else ()
    if choices:
        return "one of " + ", ".join(map(str, choices))
    return _kind(field.annotation) + _range(field.metadata)


def _kind(annotation: Any) -> str:
    members = _members(annotation)
    for kind, words in _KINDS:
        if kind in members:
            return words
    return "a JSON list"


def _members(annotation: Any) -> tuple[Any, ...]:
    """The plain types behind Optional and Annotated."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return tuple(member for part in typing.get_args(annotation) for member in _members(part))
    return (annotation,)


def _range(metadata: list[Any]) -> str:
    low = high = ""
    for bound in metadata:
        match bound:
            case annotated_types.Ge(ge=value):
                low = f" from {value}"
            case annotated_types.Gt(gt=value):
                low = f" above {value}"
            case annotated_types.Le(le=value):
                high = f" to {value}"
            case _:
                pass
    return low + high


_KINDS: list[tuple[Any, str]] = [
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (SecretStr, "postgresql://user:password@host:port/database"),
    (Path, "a path"),
    (str, "text"),
]
