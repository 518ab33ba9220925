"""A line of a directory file, or a form of the door: what a tenant, a user and a team must look like.

In CSV a list is one cell, separated by `;`. `active` may be left out: an import then changes nobody's standing.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.work_items.transitions import PERMISSIONS
from schemas.models import Identifier, TenantId, Text


def _split(value: object) -> object:
    return [part.strip() for part in value.split(";") if part.strip()] if isinstance(value, str) else value


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not a time zone of the IANA database, such as Asia/Ho_Chi_Minh")
    return name


def _role(name: str) -> str:
    if name not in PERMISSIONS:
        raise ValueError(f"not one of {', '.join(PERMISSIONS)}")
    return name


_Name = Annotated[Text, Field(min_length=1, max_length=200)]
_Active = Annotated[bool | None, BeforeValidator(lambda value: None if value == "" else value)]


class Line(BaseModel):
    """Every entry belongs to a tenant; a field that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: TenantId


class TenantEntry(Line):
    """A tenant: its zone and holidays count for due dates and timers."""

    name: _Name
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    holidays: Annotated[tuple[date, ...], BeforeValidator(_split)] = ()


class UserEntry(Line):
    """A user of a tenant, and what he may do."""

    user_id: Identifier
    display_name: _Name
    roles: Annotated[tuple[Annotated[str, AfterValidator(_role)], ...], BeforeValidator(_split)] = ()
    active: _Active = None


class TeamEntry(Line):
    """A team of a tenant; the listed members are added, nobody is removed."""

    team_id: Identifier
    name: _Name
    member_ids: Annotated[tuple[Identifier, ...], BeforeValidator(_split)] = ()


Entry = TypeVar("Entry", bound=Line)


def read_entries(path: Path, model: type[Entry]) -> tuple[list[Entry], list[str]]:
    """The entries of a CSV file (by its header) or of JSON lines, and every problem with its line number.

    Problems name the field and what is wrong, never the value.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    for number, row in _rows(path):
        try:
            entries.append(model.model_validate(row))
        except ValidationError as error:
            problems += [f"line {number}: {_named(found['loc'])}: {found['msg']}" for found in error.errors(include_url=False)]
    return entries, problems


def _named(location: Sequence[object]) -> str:
    return ".".join(str(part) for part in location)[:100] or "the line"


def _rows(path: Path) -> Iterator[tuple[int, object]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            yield from _json_lines(lines)
        else:
            yield from _csv_lines(csv.DictReader(lines))


def _csv_lines(reader: "csv.DictReader[str]") -> Iterator[tuple[int, Mapping[str, Any]]]:
    for row in reader:
        # An empty cell is a field that was left out; cells beyond the header have no name.
        yield reader.line_num, {str(name): value for name, value in row.items() if value not in ("", None)}


def _json_lines(lines: Iterable[str]) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError:
                yield number, "no JSON"
