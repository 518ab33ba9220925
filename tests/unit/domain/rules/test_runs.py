"""Which action of a run comes next, and how the run ends."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.rules.runs import FINAL, OPEN, ActionState, Progress, Result, Run, begin, cancel, settle
from schemas.rules import ActionType, ExecutionStatus

OK, NO = Result("SUCCESS"), Result("FAILED", "refused")


def action(stop_on_failure: bool = False, is_async: bool = False, delay_seconds: int = 0) -> ActionState:
    return ActionState(ActionType.CALL_WEBHOOK, stop_on_failure, is_async, delay_seconds)


def begun(*actions: ActionState) -> Progress:
    return begin(actions)


def statuses(run: Run) -> list[str]:
    return [one.status for one in run.actions]


def test_a_run_without_actions_is_a_success_at_once() -> None:
    assert begun().run.status is ExecutionStatus.SUCCESS


@pytest.mark.requirement("RU-9")
def test_the_second_action_waits_for_the_outcome_of_the_first() -> None:
    first = begun(action(), action())
    assert (first.promoted, statuses(first.run)) == ((0,), ["DUE", "WAITING"])

    second = settle(first.run, {0: OK})

    assert (second.promoted, second.run.status) == ((1,), ExecutionStatus.RUNNING)
    assert settle(second.run, {1: OK}).run.status is ExecutionStatus.SUCCESS


@pytest.mark.requirement("RU-9", "trap-28")
def test_an_asynchronous_action_holds_nothing_back_and_its_failure_counts() -> None:
    first = begun(action(is_async=True), action())
    assert first.promoted == (0, 1)

    done = settle(settle(first.run, {1: OK}).run, {0: NO}).run

    assert done.status is ExecutionStatus.PARTIAL_SUCCESS


@pytest.mark.requirement("RU-9", "trap-27")
def test_what_follows_a_failure_with_stop_is_recorded_as_skipped() -> None:
    stopped = settle(begun(action(stop_on_failure=True), action(), action()).run, {0: NO})

    assert stopped.skipped == (1, 2)
    assert statuses(stopped.run) == ["FAILED", "SKIPPED", "SKIPPED"]
    assert stopped.run.status is ExecutionStatus.FAILED


@pytest.mark.requirement("trap-26")
def test_a_later_success_does_not_hide_an_earlier_failure() -> None:
    after = settle(settle(begun(action(), action()).run, {0: NO}).run, {1: OK}).run
    assert after.status is ExecutionStatus.PARTIAL_SUCCESS


@pytest.mark.requirement("RU-12")
def test_a_run_whose_first_action_is_delayed_is_pending_and_can_be_cancelled() -> None:
    first = begun(action(delay_seconds=60), action())
    assert first.run.status is ExecutionStatus.PENDING

    cancelled = cancel(first.run)
    assert cancelled.skipped == (1,)
    ended = settle(cancelled.run, {0: Result("CANCELLED")})

    assert (ended.promoted, ended.run.status) == ((), ExecutionStatus.CANCELLED)


def test_an_outcome_that_comes_again_changes_nothing() -> None:
    after = settle(begun(action(), action()).run, {0: NO})
    assert settle(after.run, {0: Result("FAILED", "another")}).run == after.run
    assert settle(settle(after.run, {1: OK}).run, {1: NO}).run.status is ExecutionStatus.PARTIAL_SUCCESS


def test_an_operators_retry_that_succeeds_mends_the_run_and_wakes_nothing_that_was_skipped() -> None:
    stopped = settle(begun(action(stop_on_failure=True), action()).run, {0: NO}).run
    mended = settle(stopped, {0: OK})
    assert (mended.promoted, statuses(mended.run)) == ((), ["SUCCESS", "SKIPPED"])
    assert mended.run.status is ExecutionStatus.SUCCESS


SPECS = st.lists(st.builds(action, st.booleans(), st.booleans(), st.integers(0, 2)), max_size=6)


@given(SPECS, st.randoms(use_true_random=False), st.booleans())
def test_every_history_ends_with_each_action_accounted_for(specs: Sequence[ActionState], random, cancels: bool) -> None:  # type: ignore[no-untyped-def]
    progress, ever_promoted = begin(specs), set[int]()
    while True:
        ever_promoted |= set(progress.promoted)
        _in_order(progress.run)
        due = [index for index, one in enumerate(progress.run.actions) if one.status == "DUE"]
        if not due:
            break
        if cancels and random.random() < 0.2:
            progress = cancel(progress.run)
            continue
        index = random.choice(due)
        progress = settle(progress.run, {index: random.choice([OK, NO])})

    run = progress.run
    assert run.status in FINAL
    assert not run.count(*OPEN)
    assert {index for index, one in enumerate(run.actions) if one.status in ("SUCCESS", "FAILED")} == ever_promoted


def _in_order(run: Run) -> None:
    """The oracle, in the documents' words: nothing is past WAITING unless all synchronous actions before it have ended."""
    for index, one in enumerate(run.actions):
        if one.status in ("DUE", "SUCCESS", "FAILED"):
            before: Sequence[ActionState] = [earlier for earlier in run.actions[:index] if not earlier.is_async]
            assert all(earlier.status in ("SUCCESS", "FAILED") for earlier in before)


def test_the_oracle_sees_an_action_that_overtook() -> None:
    run = begun(action(), action()).run
    broken = replace(run, actions=(run.actions[0], replace(run.actions[1], status="DUE")))
    with pytest.raises(AssertionError):
        _in_order(broken)
