"""Replay: fold a history, decide every command again, name the first divergence (WF-3, trap 71). No handler is ever run.

1. Each decision of the history is made again on the instance as folded so far, with its command, time and jitter.
2. The events must be the recorded ones, but for what persons said.
3. The fold goes on with the recorded events, whatever was decided: the first divergence is the one that is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from domain.onboarding.decisions import decide
from domain.onboarding.evolving import Unfoldable, fold
from domain.onboarding.flow import Flow, FlowKey, Flows
from domain.onboarding.history import Chapter, Recorded, chapters, without_words
from domain.onboarding.instance import Instance
from domain.onboarding.turn import Decided, Unchanged
from schemas.workflow_events import WorkflowEvent


@dataclass(frozen=True, slots=True)
class Divergence:
    """At which number the history and the decision part. Texts name types and fields, no values that a person gave."""

    number: int
    command: str
    expected: str
    found: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far it went, and where it ended."""

    events: int
    decisions: int
    instance: Instance | None
    divergence: Divergence | None = None


def replay(history: Iterable[Recorded], flows: Flows, under: Flow | None = None) -> Replayed:
    """Decide a history again. `under`: by this definition instead of the one that the instance followed."""
    instance: Instance | None = None
    events = decisions = 0
    for chapter in chapters(history):
        if chapter.first != events + 1:
            gap = Divergence(events + 1, "", f"event {events + 1}", f"event {chapter.first}")
            return Replayed(events, decisions, instance, gap)
        found = _again(instance, chapter, flows if under is None else _only(under, instance, chapter))
        if found is not None:
            return Replayed(events, decisions, instance, found)
        try:
            instance = fold(chapter.events, instance)
        except Unfoldable as error:
            return Replayed(events, decisions, instance, Divergence(events + 1, "", "a history that folds", str(error)))
        events += len(chapter.events)
        decisions += 1
    return Replayed(events, decisions, instance)


def _again(instance: Instance | None, chapter: Chapter, flows: Flows) -> Divergence | None:
    cause = chapter.cause
    if cause is None:
        return Divergence(chapter.first, "", "a decision with its cause", chapter.events[0].TYPE)
    name = cause.command.TYPE
    try:
        outcome = decide(flows, instance, cause.command, cause.context)
    except Exception as error:  # noqa: BLE001 - a decision that raises is a divergence like any other
        return Divergence(chapter.first, name, chapter.events[0].TYPE, f"{type(error).__name__} was raised")
    if not isinstance(outcome, Decided):
        what = "nothing, as old news" if isinstance(outcome, Unchanged) else f"a refusal: {outcome.code}"
        return Divergence(chapter.first, name, chapter.events[0].TYPE, what)
    return _first_difference(chapter, name, outcome.events)


def _first_difference(chapter: Chapter, name: str, decided: tuple[WorkflowEvent, ...]) -> Divergence | None:
    for number, (was, now) in enumerate(zip_longest(chapter.events, decided), start=chapter.first):
        if was is None or now is None or type(was) is not type(now):
            return Divergence(number, name, _type_of(was), _type_of(now))
        old, new = without_words(was), without_words(now)
        if old != new:
            field = next(name for name in type(old).model_fields if getattr(old, name) != getattr(new, name))
            return Divergence(number, name, _shown(was, field), _shown(now, field), field)
    return None


def _type_of(event: WorkflowEvent | None) -> str:
    return "no further event" if event is None else event.TYPE


def _shown(event: Any, field: str) -> str:
    return f"{event.TYPE} with {field} = {getattr(event, field)}"


def _only(flow: Flow, instance: Instance | None, chapter: Chapter) -> Flows:
    """The one definition under every version that the history asks for."""
    asked = getattr(chapter.cause.command, "flow_version", None) if chapter.cause else None
    versions = {version for version in (asked, instance.flow_version if instance else None) if version is not None}
    return {FlowKey(flow.definition.flow, version): flow for version in versions}
