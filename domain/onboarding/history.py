"""A history as it is stored: events in order, the first one of each decision with its cause.

The cause is the command and its context, without what persons said: enough to decide again (WF-3, trap 71).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.onboarding.turn import Context
from schemas.flows import Actor
from schemas.instants import format_time
from schemas.onboarding import COMMANDS, Command
from schemas.workflow_events import EVENTS, WorkflowEvent

# Fields that hold what persons said, and what stands there instead where anybody may read. Decisions never look at them.
WORDS: dict[str, Any] = {"data": None, "value": None, "reason": "sealed"}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a decision was made."""

    command: Command
    context: Context


@dataclass(frozen=True, slots=True)
class Recorded:
    """One row of the history. `cause`: on the first event of its decision."""

    number: int
    event: WorkflowEvent
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Chapter:
    """One decision: its cause and its events, from number `first`."""

    first: int
    cause: Cause | None
    events: tuple[WorkflowEvent, ...]


def recorded(events: Sequence[WorkflowEvent], version: int, command: Command, context: Context) -> list[Recorded]:
    """The rows of one decision on an instance of this version (0: there was none)."""
    cause = Cause(without_words(command), context)
    return [
        Recorded(number, event, cause if number == version + 1 else None)
        for number, event in enumerate(events, start=version + 1)
    ]


def chapters(history: Iterable[Recorded]) -> Iterator[Chapter]:
    """The rows by decision."""
    first, cause, events = 0, None, list[WorkflowEvent]()
    for row in history:
        if row.cause is not None and events:
            yield Chapter(first, cause, tuple(events))
            events = []
        if not events:
            first, cause = row.number, row.cause
        events.append(row.event)
    if events:
        yield Chapter(first, cause, tuple(events))


def without_words(said: Any) -> Any:
    """A command or an event without what persons said."""
    given = WORDS.keys() & said.model_fields_set
    emptied = {name: WORDS[name] for name in given if getattr(said, name) is not None}
    return said.model_copy(update=emptied) if emptied else said


def cause_document(cause: Cause) -> dict[str, Any]:
    """As JSON has it."""
    context = cause.context
    return {
        "type": cause.command.TYPE,
        "command": cause.command.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "tenant": context.tenant_id,
        "by": context.by,
        "actors": sorted(context.actors),
        "now": format_time(context.now),
        "jitter": context.jitter,
    }


def read_cause(document: Mapping[str, Any]) -> Cause:
    """Raises KeyError and pydantic's ValidationError for what is no cause."""
    actors: list[Actor] = document["actors"]
    now = datetime.fromisoformat(document["now"])
    context = Context(document["tenant"], document["by"], frozenset(actors), now, document["jitter"])
    return Cause(COMMANDS[document["type"]].model_validate(document["command"]), context)


def row_document(row: Recorded) -> dict[str, Any]:
    """A row as JSON has it, for files of histories."""
    event = row.event.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document = {"number": row.number, "type": row.event.TYPE, "event": event}
    return document if row.cause is None else {**document, "cause": cause_document(row.cause)}


def read_row(document: Mapping[str, Any]) -> Recorded:
    """Raises KeyError and pydantic's ValidationError for what is no row."""
    event = EVENTS[document["type"]].model_validate(document["event"])
    cause = document.get("cause")
    return Recorded(document["number"], event, None if cause is None else read_cause(cause))
