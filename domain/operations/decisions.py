"""Where a move of a group leads, partition by partition, and when it is refused. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from schemas.errors import Rejected
from schemas.registry import FOR_EVER_MS, TOPICS, Group, Place


@dataclass(frozen=True, slots=True)
class Bounds:
    """What Kafka has of a partition: the first offset and the one behind the last."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: `offset` and `shift` carry a number, `instant` is resolved by Kafka into offsets beforehand."""

    kind: Literal["earliest", "latest", "offset", "shift", "instant"]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """One partition's move. `at` is None for a partition that the group never took; `below_inbox`: see `plan_moves`."""

    place: Place
    at: int | None
    to: int
    bounds: Bounds
    below_inbox: bool = False

    @property
    def standing(self) -> int:
        """Where it stands; a group that never began stands at the first offset."""
        return self.bounds.begin if self.at is None else self.at

    @property
    def again(self) -> int:
        """Records that will be read a second time."""
        return max(0, min(self.standing, self.bounds.end) - max(self.to, self.bounds.begin))

    @property
    def skipped(self) -> int:
        """Records that will never be read."""
        return max(0, self.to - max(self.standing, self.bounds.begin))


def plan_moves(
    target: Target,
    standing: Mapping[Place, int],
    bounds: Mapping[Place, Bounds],
    instants: Mapping[Place, int],
    low_water: Mapping[Place, int],
) -> list[Move] | Rejected:
    """The moves that change something, in order. An absolute offset that Kafka does not have is refused.

    `low_water`: below it events may come of which the inbox has forgotten that their effect was done.
    """
    moves = []
    for place in sorted(bounds):
        limits, at = bounds[place], standing.get(place)
        to = _to(target, limits, limits.begin if at is None else at, instants.get(place))
        if not limits.begin <= to <= limits.end:
            return Rejected(
                "OffsetOutOfRange",
                f"move to offset {to} of {place.topic}-{place.partition}: Kafka has {limits.begin} to {limits.end}",
            )
        if to != at:
            moves.append(Move(place, at, to, limits, to < low_water.get(place, 0)))
    return moves


def _to(target: Target, limits: Bounds, at: int, instant: int | None) -> int:
    match target.kind:
        case "earliest":
            return limits.begin
        case "latest":
            return limits.end
        case "offset":
            return target.number
        case "shift":
            return min(max(at + target.number, limits.begin), limits.end)
        case "instant":
            # No record is as young as that: behind the last one.
            return limits.end if instant is None else instant


def refuse_below_inbox(moves: Sequence[Move], reason: str | None) -> Rejected | None:
    """A move that might repeat effects needs a reason."""
    below = [move.place for move in moves if move.below_inbox]
    if not below or reason:
        return None
    places = ", ".join(f"{place.topic}-{place.partition}" for place in below)
    return Rejected(
        "BelowInbox",
        f"move {places} below the inbox's low-water mark: effects of events there may happen a second time; "
        "if that is meant, say why with --below-inbox REASON",
    )


def inbox_ages(groups: Iterable[Group], margin: timedelta) -> dict[str, timedelta]:
    """Group -> the age from which its inbox rows may go; groups whose rows must stay are absent.

    A row outlives the longest retention of its group's topics by a margin; a topic kept for ever keeps the rows too.
    """
    ages = {}
    for group in groups:
        kept = [TOPICS[topic].retention_ms for topic in group.topics]
        if group.inbox == "retention" and FOR_EVER_MS not in kept:
            ages[group.name] = timedelta(milliseconds=max(kept)) + margin
    return ages


def effects_said(group: Group, moves: Sequence[Move]) -> str:
    """What reading again does, in words."""
    if not any(move.again for move in moves):
        return "none: nothing is read again"
    if group.rebuilds:
        return "none: a projection has no outside effects, and what it applied before it drops as seen"
    if group.inbox == "forever":
        return "none: the group remembers for ever what it has done"
    if group.own_keys:
        return "none: what the group does has keys of its own, which are kept for ever"
    if any(move.below_inbox for move in moves):
        return "POSSIBLE: below the low-water mark the inbox has forgotten what was done"
    return "none: the inbox still knows all of these events"
