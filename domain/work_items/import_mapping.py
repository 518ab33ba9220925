"""How the columns and states of somebody's audit log become work item commands: the mapping file, checked whole.

The file is YAML; definitions/demo/incidents.yaml is the worked example. Every problem is reported at once.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.errors import ConfigurationError
from schemas.models import Code, Identifier, TenantId
from schemas.work_items import Action, Priority, Status

Meaning = str  # an action's name, or one of MEANINGS
MEANINGS = ("nothing", "unmapped", "assign-or-start")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(_Strict):
    """Which column holds what. `none` is the log's word for an empty value."""

    item: str
    order: str
    state: str
    at: str
    at_format: str = "%Y-%m-%dT%H:%M:%S%z"
    by: str
    assignee: str
    team: str | None = None
    none: str = ""

    def instant(self, text: str) -> datetime:
        """A row's time; without a zone it is UTC. Raises ValueError."""
        moment = datetime.strptime(text, self.at_format)  # noqa: DTZ007 - the zone is set in the next line
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class PriorityColumn(_Strict):
    """A column and what its values mean; an unlisted value is medium."""

    column: str
    values: dict[str, Priority]


class Create(_Strict):
    """The fields of a new item. `title` may name columns in braces."""

    title: str
    request_type: Code | None = None
    activity_area: Code | None = None
    business_group: Code | None = None
    process: Code | None = None
    priority: PriorityColumn | None = None


class ImportMapping(_Strict):
    """The whole file."""

    source: Identifier
    tenants: Annotated[tuple[TenantId, ...], Field(min_length=1)]
    columns: Columns
    create: Create
    states: dict[str, dict[Status | Literal["*"], Meaning]]

    @field_validator("states")
    @classmethod
    def _known_meanings(cls, states: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        known = {*MEANINGS, *get_args(Action)}
        unknown = sorted({meaning for by_status in states.values() for meaning in by_status.values()} - known)
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}: use an action's name or one of {', '.join(MEANINGS)}")
        return states

    def meaning(self, state: str, status: str) -> Meaning:
        """What a change to `state` means for an item that should be in `status`; 'unmapped' when the file is silent."""
        by_status = self.states.get(state, {})
        return by_status.get(status) or by_status.get("*") or "unmapped"  # type: ignore[call-overload]


def load_mapping(path: Path) -> ImportMapping:
    """Read and check a mapping file. Raises ConfigurationError with every problem."""
    try:
        return ImportMapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path.name}: cannot be read as YAML ({type(error).__name__})"]) from error
    except ValidationError as error:
        raise ConfigurationError(
            [f"{path.name}: {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        ) from error
