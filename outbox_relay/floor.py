"""The floor of a shard: below it no unsent row is and none will ever appear, so a poll need not look there.

Pure. Keeps P1 (nothing lost) while polls stay short. A floor that is too low costs time, one that is too high loses
events, so each step stands in the order in which it was verified (docs/explanation/outbox-and-relay.md):

    5. draw:    S = last_value of the sequence, THEN X = a new transaction id
    6. observe: xmin of a snapshot >= X   =>   every transaction that drew an id <= S has ended
       settle:  a poll that began after that finds its first unsent row at F   =>   floor = min(S, F - 1)

Why: a writer gets its xid before its id (column order), so whoever drew an id <= S has an xid < X. Once all of those have
ended, the rows <= S are the visible ones, and the lowest of them is F. (Step 6 of the design is the case F > S; any
smaller S is as good a candidate, which lets the floor rise inside a backlog.)

A Horizon lives no longer than the connections it was read on: a crash of the database may take back sequence numbers
that were never flushed, and a candidate drawn before would then cover rows that are still to come.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Candidate:
    """S and X of step 5. The order of reading them is the caller's duty."""

    last_value: int
    next_xid: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """What one set of connections knows: ids up to `settled` belong to ended transactions; `candidate` waits for that."""

    settled: int = 0
    candidate: Candidate | None = None

    def draw(self, last_value: int, next_xid: int) -> "Horizon":
        """Step 5. A waiting candidate is kept: replacing it again and again would never let one ripen."""
        if self.candidate is not None or last_value <= self.settled:
            return self
        return replace(self, candidate=Candidate(last_value, next_xid))

    def observe(self, xmin: int) -> "Horizon":
        """Step 6, first half. `xmin` of a snapshot taken after the candidate was drawn."""
        if self.candidate is None or xmin < self.candidate.next_xid:
            return self
        return Horizon(settled=self.candidate.last_value)


def settle(settled: int, current: int, first_unsent: int | None) -> int:
    """Step 6, second half: the floor after a poll of the shard.

    `settled` was known BEFORE the poll began; `first_unsent` is the lowest id it found above `current`, None for none.
    """
    reached = settled if first_unsent is None else min(settled, first_unsent - 1)
    return max(current, reached)
