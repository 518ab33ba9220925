"""One shard, its writers and one relay as a list of tiny steps in any order; and the variants that once lost events.

A step is a letter of STEPS with a number that chooses among the open transactions or the page's length. A step that
cannot be taken now is skipped, so every list is a legal history.
"""

from collections.abc import Iterable

from outbox_relay.floor import Horizon, settle
from tests.unit.outbox_relay.database_model import ModelDatabase

# Weights: what a run needs most often stands most often.
STEPS = "begin draw draw end end tick tick tick poll poll poll poll crash".split()
Step = tuple[str, int]


class RelayModel:
    """Steps 1 to 6 of the relay, one read or write at a time."""

    def __init__(self) -> None:
        self.db = ModelDatabase()
        self.floor = 0
        self.connect()

    def connect(self) -> None:
        """New connections: the committed floor stays, everything else is forgotten."""
        self.horizon = Horizon()
        self.noted: int | None = None
        self.settled: int | None = None
        self.page: list[int] | None = None

    def tick(self) -> None:
        """The next read of step 5 or 6: S, then X, then xmin until the candidate is ripe."""
        if self.horizon.candidate is not None:
            self.horizon = self.horizon.observe(self.db.xmin())
        elif self.noted is None:
            self.noted = self.note_first()
        else:
            self.horizon = self.draw(self.noted)
            self.noted = None

    def note_first(self) -> int:
        return self.db.last_value

    def draw(self, noted: int) -> Horizon:
        return self.horizon.draw(noted, self.db.assign_xid())

    def poll(self, limit: int) -> None:
        """The next step of a poll: note what is settled; fetch; raise the floor, publish and delete."""
        if self.settled is None:
            self.settled = self.horizon.settled
        elif self.page is None:
            self.page = sorted(row for row in self.db.unsent if row > self.floor)[:limit]
        else:
            self.floor = settle(self.settled, self.floor, self.page[0] if self.page else None)
            self.db.flush()
            self.db.unsent.difference_update(self.page)
            self.settled = self.page = None

    def crash(self) -> None:
        self.db.crash()
        self.connect()

    def loses_a_row(self) -> bool:
        """A row that is committed, or that somebody has drawn or will draw, lies at or below the floor."""
        coming = self.db.unsent.union(*(transaction.rows for transaction in self.db.open))
        return self.db.last_value < self.floor or any(row <= self.floor for row in coming)


class ReadsTheSequenceLast(RelayModel):
    """X before S: ids drawn in between belong to transactions that X does not cover (174 events lost)."""

    def note_first(self) -> int:
        return self.db.assign_xid()

    def draw(self, noted: int) -> Horizon:
        return self.horizon.draw(self.db.last_value, noted)


class ReadsTheHorizonAfterTheFetch(RelayModel):
    """A row that was committed after the fetch counts as seen (198 events lost)."""

    def poll(self, limit: int) -> None:
        if self.page is not None:
            self.settled = self.horizon.settled
        super().poll(limit)


class TakesXmaxForX(RelayModel):
    """xmax of a snapshot is no upper bound of the transaction ids in use (18 events lost)."""

    def draw(self, noted: int) -> Horizon:
        return self.horizon.draw(noted, self.db.xmax())


class KeepsItsCandidateOverACrash(RelayModel):
    """Numbers that were never flushed are drawn again after a crash, below the old S."""

    def crash(self) -> None:
        horizon = self.horizon
        super().crash()
        self.horizon = horizon


def loses(model: type[RelayModel], history: Iterable[Step]) -> bool:
    """Some state of this history has a row that no poll would ever find."""
    relay = model()
    for step, number in history:
        _take(relay, step, number)
        if relay.loses_a_row():
            return True
    return False


def _take(relay: RelayModel, step: str, number: int) -> None:
    running = relay.db.open
    match step:
        case "begin":
            relay.db.begin()
        case "draw" if running:
            relay.db.draw_row(running[number % len(running)])
        case "end" if running:
            # One in four rolls back.
            relay.db.end(running[number % len(running)], commits=number % 4 != 3)
        case "tick":
            relay.tick()
        case "poll":
            relay.poll(limit=1 + number % 3)
        case "crash":
            relay.crash()
