"""A model of what the floor depends on in PostgreSQL: transaction ids, one sequence, commits, snapshots, a crash.

Owns no rule of the relay. Ids and transaction ids are drawn one by one, so that hypothesis can put any other step in
between; a crash takes back every id that no commit has flushed.
"""

from dataclasses import dataclass, field


@dataclass
class ModelTransaction:
    """A writer: its id, given before its first row id, and the row ids that it drew."""

    xid: int
    rows: list[int] = field(default_factory=list)


@dataclass
class ModelDatabase:
    """`unsent` are the committed rows that nobody deleted; `flushed` is what a crash leaves of the sequence."""

    next_xid: int = 1
    last_value: int = 0
    flushed: int = 0
    latest_completed: int = 0
    open: list[ModelTransaction] = field(default_factory=list)
    unsent: set[int] = field(default_factory=set)

    def begin(self) -> None:
        self.open.append(ModelTransaction(self.assign_xid()))

    def assign_xid(self) -> int:
        self.next_xid += 1
        return self.next_xid - 1

    def draw_row(self, transaction: ModelTransaction) -> None:
        self.last_value += 1
        transaction.rows.append(self.last_value)

    def end(self, transaction: ModelTransaction, commits: bool) -> None:
        self.open.remove(transaction)
        self.latest_completed = max(self.latest_completed, transaction.xid)
        if commits:
            self.unsent.update(transaction.rows)
            self.flushed = max(self.flushed, self.last_value)

    def xmin(self) -> int:
        return min((transaction.xid for transaction in self.open), default=self.next_xid)

    def xmax(self) -> int:
        return self.latest_completed + 1

    def crash(self) -> None:
        """Open transactions vanish, and with them the ids above the last flush; transaction ids are never taken back."""
        self.open.clear()
        self.last_value = self.flushed

    def flush(self) -> None:
        """Any commit, a floor's too, flushes everything drawn before it."""
        self.flushed = self.last_value
