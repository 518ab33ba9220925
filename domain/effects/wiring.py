"""Who owns effects and who performs the kinds that need no network: passed in where processes are wired.

`delay` is performed here: an effect of this kind succeeds by becoming due.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.effects.decisions import Finished
from domain.effects.effect import ClaimedEffect, Outcome
from runtime.sql import Connection

DELAY = "delay"

# Folds outcomes into their owners, in the transaction that records them; promotes, skips or cancels what follows. It locks
# its rows in one order. Of an effect that an operator retried it hears a second time.
OwnerFold = Callable[[Connection, Sequence[Outcome], datetime], Awaitable[None]]
# Performs effects of one kind inside the transaction, without network; one outcome for each.
Internal = Callable[[Connection, Sequence[ClaimedEffect], datetime], Awaitable[Sequence[Outcome]]]


async def perform_delay(_conn: Connection, effects: Sequence[ClaimedEffect], _now: datetime) -> Sequence[Outcome]:
    """A delay is over when it is due."""
    return [effect.outcome("succeeded") for effect in effects]


# Locks the rows of these owners (their ids, by tenant, sorted) before any of their effects is locked: whoever cancels holds an
# owner first and then waits for its effects.
OwnerLock = Callable[[Connection, Sequence[tuple[str, str]]], Awaitable[None]]

# Told of calls whose worker fell silent and that another worker now makes again, in a transaction of its own.
Takeover = Callable[[Connection, Sequence[ClaimedEffect]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Taking:
    """Who takes the calls that follow: `owner` leases up to `most` of these kinds for `life` seconds."""

    kinds: frozenset[str]
    owner: str
    life: float
    most: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """Outcomes that were written, and the calls behind them, leased with them. `due`: others are left to whoever looks."""

    outcomes: Sequence[Outcome] = ()
    following: Sequence[ClaimedEffect] = ()
    due: bool = False


# Records what calls of one tenant came to and everything that follows, without a transaction around it: what it leaves out is
# recorded in general. So it may try, and need not wait for anybody.
OwnRecording = Callable[[Connection, Sequence[tuple[ClaimedEffect, Finished]], Taking], Awaitable[Recorded]]


@dataclass(frozen=True, slots=True)
class Wiring:
    """Owners by their kind, internal kinds by name.

    `discreet`: kinds of owners that tell the world themselves what their effects came to, with incidents of their own; their
    effects stand in no line, and internal ones among them wait for the next look. `followed`: kinds of calls that whoever
    records the outcome before them makes at once. `recordings`: owners that record in a statement of their own where they can.
    """

    owners: Mapping[str, OwnerFold] = field(default_factory=dict)
    locks: Mapping[str, OwnerLock] = field(default_factory=dict)
    internals: Mapping[str, Internal] = field(default_factory=lambda: {DELAY: perform_delay})
    discreet: frozenset[str] = frozenset()
    followed: frozenset[str] = frozenset()
    recordings: Mapping[str, OwnRecording] = field(default_factory=dict)
    takeovers: Mapping[str, Takeover] = field(default_factory=dict)
