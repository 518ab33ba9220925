"""What a processor is: `load`, pure `decide`, `save`, and for some `prepare`. The shell does the rest, the same for all."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from processors.shell.messages import Aggregate, Message
from runtime.sql import Connection
from schemas.models import Payload
from schemas.registry import Group

State = TypeVar("State")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Decided(Generic[State, Output]):
    """The key's next state, which the next message of the key sees, and what else to save (history, events ...)."""

    state: State
    output: Output | None = None


class SequenceStore(Protocol):
    """Where a group keeps the last applied number of each aggregate."""

    async def last_applied(self, conn: Connection, group: str, aggregates: Sequence[Aggregate]) -> dict[Aggregate, int]: ...

    async def record(self, conn: Connection, group: str, applied: Mapping[Aggregate, int]) -> None: ...


class Processor(Protocol[State, Output]):
    """One consumer group's logic. It never begins, commits, retries, reads a clock or talks to Kafka.

    A message is applied at most once per group; messages of one key arrive in order. `decide` raises only for a bug or a
    message that no retry can cure: the shell then parks the message and every later one of its key.
    """

    group: Group
    interests: Mapping[str, type[Payload]]

    @property
    def latest_wins(self) -> bool:
        """Whether every numbered message carries its aggregate's whole state, so that none need wait for an earlier one."""
        ...

    @property
    def sequences(self) -> SequenceStore:
        """Where the group keeps its numbers."""
        ...

    def key(self, message: Message) -> Hashable:
        """Which state the message concerns."""
        ...

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, State]:
        """Lock and read, in the order of DESIGN section 5, the states of all messages of the batch."""
        ...

    def decide(self, state: State | None, message: Message, now: datetime) -> Decided[State, Output]:
        """Pure. `state` is None when `load` found none."""
        ...

    async def save(self, conn: Connection, states: Mapping[Any, State], outputs: Sequence[Output], now: datetime) -> None:
        """Write the last state of each changed key and all outputs, with array statements."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """What a processor has besides when `load` needs something that may be far away, a key service for example.

    The batch's transaction takes its number at the fence and then holds up every relay's floor, so nothing in it should wait
    for anybody else. `prepare` waits before it begins; `load` asks the same again and finds it near.
    """

    async def prepare(self, conn: Connection, messages: Sequence[Message]) -> None:
        """Fetch what `load` will ask for. Changes nothing that is told or stored, and may be repeated with its batch.

        `conn` is in no transaction: each statement is one of its own and sees no tenant's rows. `messages`: all of the batch
        that are of interest, those seen before too; not those that it lets go from the waiting rows. What it raises is
        judged as if `load` had raised it.
        """
        ...
