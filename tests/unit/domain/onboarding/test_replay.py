"""Replay: the golden histories of every version ever shipped, and that a divergence is found where it is."""

from dataclasses import replace

import pytest

from domain.onboarding.evolving import Unfoldable, fold
from domain.onboarding.flow import compile_flow, flows_of
from domain.onboarding.history import Recorded
from domain.onboarding.replay import Divergence, replay
from schemas.onboarding import Advance
from tests.unit.domain.onboarding.giving import SHIPPED, Engine, flow, move
from tests.unit.domain.onboarding.scenarios import GOLDEN, SCENARIOS, golden

FLOWS = flows_of(*SHIPPED.values())
CARD = "card-onboarding.v1.rejected-by-aml"


def diverges(history: list[Recorded], **more: object) -> Divergence:
    found = replay(history, FLOWS, **more)  # type: ignore[arg-type]
    assert found.divergence is not None
    return found.divergence


@pytest.mark.requirement("WF-3", "IN-13", "trap-71")
@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.jsonl")))
def test_every_golden_history_is_decided_again_as_it_was(name: str) -> None:
    history = golden(name)
    found = replay(history, FLOWS)
    assert found.divergence is None
    assert (found.events, found.decisions > 1) == (len(history), True)


def test_every_shipped_version_has_a_golden_history() -> None:
    kept = {tuple(path.stem.split(".")[:2]) for path in GOLDEN.glob("*.jsonl")}
    assert {(one.flow, f"v{one.version}") for one in SHIPPED.values()} <= kept
    assert {f"{name}.jsonl" for name in SCENARIOS} <= {path.name for path in GOLDEN.glob("*.jsonl")}


@pytest.mark.requirement("WF-10", "trap-66", "trap-71", "trap-79")
def test_replay_needs_nothing_that_a_person_said() -> None:
    text = (GOLDEN / "customer-onboarding.v1.happy.jsonl").read_text()
    causes = [row.cause.command for row in golden("customer-onboarding.v1.happy") if row.cause is not None]
    assert "canary" in text, "the events hold it, and the store seals them"
    assert all(getattr(cause, "data", None) is None and getattr(cause, "value", None) is None for cause in causes)


@pytest.mark.requirement("WF-3", "trap-71")
def test_the_first_divergence_is_named_with_event_and_field() -> None:
    history = golden(CARD)
    at = next(place for place, row in enumerate(history) if row.event.TYPE == "STEP_STARTED")
    changed = history[at].event.model_copy(update={"handler": "create-another-account"})
    told = diverges([*history[:at], replace(history[at], event=changed), *history[at + 1 :]])
    assert (told.number, told.command, told.field) == (history[at].number, "Advance", "handler")
    assert (told.expected, told.found) == (
        "STEP_STARTED with handler = create-another-account",
        "STEP_STARTED with handler = create-account",
    )


@pytest.mark.requirement("WF-3", "trap-70", "trap-71")
def test_a_lost_an_added_and_a_refused_event_are_divergences() -> None:
    history = golden(CARD)
    lost = diverges([*history[:5], *history[6:]])
    assert (lost.number, lost.expected, lost.found) == (6, "STEP_STARTED", "ACTION_ACCEPTED")
    assert diverges(history[:-1]).expected == "no further event", "the last decision had one event more"
    advance = history[3].cause
    assert advance is not None
    assert isinstance(advance.command, Advance)
    cause = replace(advance, command=advance.command.model_copy(update={"action": "JUMP"}))
    told = diverges([*history[:3], replace(history[3], cause=cause), *history[4:]])
    assert told.found == "a refusal: InvalidTransition"
    orphan = diverges([replace(history[0], cause=None)])
    assert orphan.expected == "a decision with its cause"
    assert diverges(history[3:]).found == "event 4"


@pytest.mark.requirement("WF-3", "WF-7")
def test_a_changed_definition_diverges_where_the_instance_would_go_another_way() -> None:
    definition = SHIPPED["card-onboarding"]
    moves = tuple(
        one.model_copy(update={"compensation": None, "irreversible": "kept"}) if one.handler == "create-wallet" else one
        for one in definition.transitions
    )
    other = compile_flow(definition.model_copy(update={"transitions": moves}))
    told = diverges(golden(CARD), under=other)
    assert (told.command, told.field) == ("StepSucceeded", "compensation")
    assert replay(golden(CARD), FLOWS, under=compile_flow(definition)).divergence is None


def test_a_history_that_does_not_fold_is_told_as_such() -> None:
    events = [row.event for row in golden(CARD)]
    with pytest.raises(Unfoldable, match="begins with INSTANCE_STATUS_CHANGED"):
        fold(events[1:])
    with pytest.raises(Unfoldable, match="begins twice"):
        fold([events[0], events[0]])
    at = next(place for place, event in enumerate(events) if event.TYPE == "STEP_COMPLETED")
    with pytest.raises(Unfoldable, match="names step 1, which is not there"):
        fold([*events[: at - 1], events[at]])


def test_a_version_that_is_gone_is_a_divergence_and_no_crash() -> None:
    assert replay(golden(CARD), {}).divergence == Divergence(1, "StartInstance", "WORKFLOW_STARTED", "a refusal: UnknownFlow")


def test_a_history_of_now_is_decided_again_with_its_jitter() -> None:
    engine = Engine.of(flow(move("A", "DONE", handler="work")))
    engine.act()
    engine.fail(1)
    assert replay(engine.history, engine.flows).divergence is None
    cause = engine.history[-2].cause
    assert cause is not None
    other = replace(cause, context=replace(cause.context, jitter=0.9))
    told = replay([*engine.history[:-2], replace(engine.history[-2], cause=other), engine.history[-1]], engine.flows)
    assert told.divergence is not None
    assert told.divergence.field == "due_at"
