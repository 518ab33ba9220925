"""What a timer is: values that owners arm and handlers get. No I/O."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runtime.sql import Connection


@dataclass(frozen=True, slots=True)
class Timer:
    """`key` is unique in the tenant; arming it again moves it. `entry` counts entries into the state that it belongs to."""

    tenant_id: str
    key: str
    kind: str
    due_at: datetime
    command: Mapping[str, Any] = field(default_factory=dict)
    entry: int = 0
    subject_id: str | None = None


def entry_at(told_at: datetime) -> int:
    """The entry of a timer whose owner has no count of its own: what is told later counts, in whatever order it is read."""
    return int(told_at.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True)
class Fired:
    """What a handler did with a timer. `outdated`: its owner has entered another state since; nothing was done.

    `next_due` arms it again, for a later time, with the command that is given, or the same.
    """

    key: str
    outdated: bool = False
    next_due: datetime | None = None
    command: Mapping[str, Any] | None = None


# Does what timers of one kind are for, in the transaction that fires them: appends commands to the outbox, plans effects. It
# locks no row whose holder might arm or disarm timers: these are locked already, so the two would wait for each other.
Handler = Callable[[Connection, Sequence[Timer], datetime], Awaitable[Sequence[Fired]]]
