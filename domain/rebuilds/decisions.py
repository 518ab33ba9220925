"""What a rebuild may become next, what refuses it, and how far it is. Pure.

    ordered -> planned -> prepared -> scanning ----> catching-up -> ready
       |          |          |  `- from the topic -------^  |
       v          v          v         |                    v
    refused    failed     failed     paused <-----------> paused        any open one -> cancelled

`planned`: the version has its number. `prepared`: the topic's ends are noted, positions and slices are laid, the table is
ordered. Each step is one transaction and repeats without harm, so whoever finds an order goes on from its state (CD-13).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from schemas.errors import Rejected
from schemas.registry import Place

Source = Literal["topic", "store"]
State = Literal[
    "ordered", "planned", "prepared", "scanning", "catching-up", "ready", "paused", "refused", "failed", "cancelled"
]
Event = Literal["plan", "prepare", "scan", "catch-up", "finish", "pause", "resume", "refuse", "fail", "cancel"]

OPEN: tuple[State, ...] = ("ordered", "planned", "prepared", "scanning", "catching-up", "paused")
# Their snapshots and records are being read.
WORKING: tuple[State, ...] = ("scanning", "catching-up")
STORE_KIND = "cases"
# A rebuild is caught up when it reached the ends asked for this short a time ago.
FRESH_SECONDS = 10.0
PARITY_VALID = timedelta(hours=1)
LEAST_SLICE, MOST_SLICES = 10_000, 256

_TRANSITIONS: dict[tuple[State, Event], State] = {
    ("ordered", "plan"): "planned",
    ("ordered", "refuse"): "refused",
    ("planned", "prepare"): "prepared",
    ("planned", "refuse"): "refused",
    ("planned", "fail"): "failed",
    ("prepared", "scan"): "scanning",
    ("prepared", "catch-up"): "catching-up",
    ("prepared", "fail"): "failed",
    ("scanning", "fail"): "failed",
    ("catching-up", "fail"): "failed",
    ("scanning", "catch-up"): "catching-up",
    ("catching-up", "finish"): "ready",
    # An operator wants what could not be put into the table to be tried again.
    ("catching-up", "scan"): "scanning",
    ("scanning", "pause"): "paused",
    ("catching-up", "pause"): "paused",
    **{(state, "cancel"): "cancelled" for state in OPEN},
}


def next_state(state: State, event: Event, paused_from: State | None = None) -> State | Rejected:
    """The state after the event; a paused rebuild resumes where it was."""
    if state == "paused" and event == "resume" and paused_from in WORKING:
        return paused_from
    following = _TRANSITIONS.get((state, event))
    if following is None:
        return Rejected("RebuildNotThere", f"a rebuild that is {state} cannot {event}", {"state": state})
    return following


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as the broker has it: bounds per partition, its clean-up, how long it keeps, where the serving version stands."""

    name: str
    bounds: Mapping[int, tuple[int, int]]
    cleanup: str
    retention_ms: int
    positions: Mapping[int, int]


def refuse_incomplete(topics: Sequence[TopicFacts], source: Source, kind: str) -> Rejected | None:
    """Why a table cannot be made from this source, or None. A hole in the history would be a table that looks right."""
    if source == "store":
        if kind != STORE_KIND:
            return Rejected(
                "SourceNotThere", "this table is not made of case snapshots, so no store holds its history: use --from topic"
            )
        return _refuse_unusable(topics)
    for topic in topics:
        if reason := _hole(topic):
            cure = "the store holds every snapshot: use --from store" if kind == STORE_KIND else "no store can fill it in"
            return Rejected("HistoryIncomplete", f"{topic.name}: {reason}; {cure}", {"topic": topic.name})
    return None


def _hole(topic: TopicFacts) -> str | None:
    """How this topic fails to reach back to the first event."""
    if not topic.bounds:
        return "the topic does not exist"
    if "compact" in topic.cleanup:
        return f"it is compacted (cleanup.policy={topic.cleanup}), so older events of a key are gone"
    if late := {number: begin for number, (begin, _) in sorted(topic.bounds.items()) if begin > 0}:
        number, begin = next(iter(late.items()))
        return f"{len(late)} of {len(topic.bounds)} partitions no longer begin at 0 (partition {number} begins at {begin})"
    if topic.retention_ms != -1:
        return f"it keeps events for {topic.retention_ms} ms only (retention.ms), so the first may go while they are read"
    return _recreated(topic)


def _recreated(topic: TopicFacts) -> str | None:
    for number, (_, end) in sorted(topic.bounds.items()):
        if (position := topic.positions.get(number, 0)) > end:
            return f"partition {number} ends at {end}, but the serving version has read up to {position}: it was made anew"
    return None


def _refuse_unusable(topics: Sequence[TopicFacts]) -> Rejected | None:
    """A store rebuild reads only the topic's tail, but it must exist and not be an emptied one."""
    for topic in topics:
        reason = "the topic does not exist" if not topic.bounds else _recreated(topic)
        if reason:
            return Rejected("HistoryIncomplete", f"{topic.name}: {reason}", {"topic": topic.name})
    return None


def lay_slices(first: int, last: int, workers: int) -> list[tuple[int, int]]:
    """Cut the store's numbers into ranges that several processes can share, none much smaller than LEAST_SLICE."""
    if last < first:
        return []
    wanted = max(1, min(MOST_SLICES, 8 * workers, (last - first + 1) // LEAST_SLICE))
    size = -(-(last - first + 1) // wanted)
    return [(start, min(start + size - 1, last)) for start in range(first, last + 1, size)]


def over_budget(errors: int, forgiven: int, total: int, budget: float) -> bool:
    """More newly parked messages than the share of the whole that a rebuild may have."""
    return errors - forgiven > total * budget


def is_caught_up(positions: Mapping[Place, int], goals: Mapping[Place, int], goal_age_seconds: float) -> bool:
    """Every partition has passed ends that were asked for a moment ago."""
    return goal_age_seconds <= FRESH_SECONDS and has_passed(positions, goals)


def has_passed(positions: Mapping[Place, int], goals: Mapping[Place, int]) -> bool:
    """Whether a group stands at or behind each of these ends."""
    return all(positions.get(place, 0) >= goal for place, goal in goals.items())


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is. `eta_seconds` is None while its speed is not known."""

    percent: float
    eta_seconds: float | None


def progress_of(state: State, applied: int, total: int, speed: float) -> Progress:
    """Share of what there was to read when it was last measured, and the time that the rest takes at this speed."""
    if state == "ready":
        return Progress(100.0, 0.0)
    if total <= 0:
        return Progress(100.0 if state == "catching-up" else 0.0, None)
    left = max(0, total - applied)
    eta = left / speed if speed > 0 and state in WORKING else None
    return Progress(min(99.9, 100.0 * applied / total), eta)


@dataclass(frozen=True, slots=True)
class Parity:
    """The newest finished comparison of a version: with which one, what it said, when its snapshot was taken."""

    against: int | None
    verdict: str | None
    compared_at: datetime | None


def refuse_switch(
    version: int,
    state: str,
    trial_tenant: str | None,
    serving: int | None,
    parity: Parity | None,
    reason: str,
    now: datetime,
) -> Rejected | None:
    """Why the view must not show this version, or None. A reason stands in for a parity, never for a whole table."""
    if trial_tenant is not None:
        return Rejected(
            "TrialVersion",
            f"version {version} holds the rows of tenant {trial_tenant} only; every other tenant would find the table empty."
            " Rebuild without --tenant",
        )
    if state == "serving":
        return Rejected("AlreadyServing", f"version {version} is what the view shows already")
    if state not in ("ready", "standby"):
        return Rejected("VersionNotReady", f"version {version} is {state}; only a ready one can be shown", {"state": state})
    if reason or serving is None or _proves(parity, serving, now):
        return None
    return Rejected("ParityMissing", _without_parity(version, serving, parity))


def _proves(parity: Parity | None, serving: int, now: datetime) -> bool:
    return (
        parity is not None
        and parity.verdict == "equal"
        and parity.against == serving
        and parity.compared_at is not None
        and now - parity.compared_at <= PARITY_VALID
    )


def _without_parity(version: int, serving: int, parity: Parity | None) -> str:
    cure = f"verify version {version} first, or give a reason, which is audited"
    if parity is None:
        return f"version {version} was never compared with version {serving}: {cure}"
    if parity.verdict != "equal":
        return f"the last comparison of version {version} found differences: {cure}"
    if parity.against != serving:
        return f"version {version} was compared with version {parity.against}, but version {serving} serves: {cure}"
    return f"the comparison of version {version} is older than {PARITY_VALID}: {cure}"


def version_before(standing_by: Sequence[int]) -> int | Rejected:
    """The version that served before (the one that stands by since the shortest time comes first), or why there is none."""
    if not standing_by:
        return Rejected("NothingToSwitchBackTo", "no version stands by: there was no switch, or the former version is retired")
    return standing_by[0]


def refuse_retire(version: int, state: str, rebuilding: bool) -> Rejected | None:
    """Why a version must stay, or None."""
    if state == "serving":
        return Rejected("VersionServes", f"version {version} is what the view shows: switch to another one first")
    if state == "retired":
        return Rejected("AlreadyRetired", f"version {version} is retired already")
    if rebuilding:
        return Rejected("RebuildRunning", f"version {version} is being rebuilt: cancel that instead")
    return None
