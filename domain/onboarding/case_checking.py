"""What a person said, held against a case definition: every problem at once, each with its JSON pointer. Pure.

No words of it repeat a value; names of members stand in pointers, as everywhere at the door.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from domain.onboarding.case_definitions import CaseDefinition

# A body can be wrong in a million places.
MOST = 200
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class DataProblem:
    """`place`: members and indexes from the data down. `code`: the keyword of JSON Schema that it breaks."""

    place: tuple[str | int, ...]
    code: str
    message: str


def problems_of(definition: CaseDefinition, part: str | None, data: Mapping[str, Any]) -> list[DataProblem]:
    """Everything that is wrong with the data, by place. Raises KeyError: the definition has no such part."""
    found = dict[DataProblem, None]()
    for error in definition.validator(part).iter_errors(dict(data)):
        found.update(dict.fromkeys(_problems(error)))
        if len(found) >= MOST:
            break
    return sorted(found, key=lambda one: ([str(step) for step in one.place], one.code))[:MOST]


def _problems(error: Any) -> Iterator[DataProblem]:
    place, kind = tuple(error.instance_path), error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        yield DataProblem((*place, str(kind.property)), "required", "The field is missing.")
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        for name in kind.unexpected:
            yield DataProblem((*place, name), "additionalProperties", "The field is not known here.")
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
        yield DataProblem(place, "falseSchema", "Nothing is known here.")
    else:
        yield DataProblem(place, kind.name, str(error.message)[:_LONGEST])
