"""What an answer means: for every policy, any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.effects.decisions import (
    LOST_CALLS,
    MAX_DELAY_SECONDS,
    Again,
    Finished,
    code_of,
    delay_before,
    fingerprint_of,
    is_lost,
    judge,
)
from domain.effects.effect import Done, Refused, Retry, RetryPolicy, effect_id

policies = st.builds(RetryPolicy, st.integers(0, 50), st.floats(0, 100_000), st.sampled_from(["fixed", "exponential"]))
jitters = st.floats(0, 1)
answers = st.one_of(
    st.builds(Done),
    st.builds(Refused, st.text(max_size=20)),
    st.builds(Retry, st.text(max_size=20), st.none() | st.floats(0, 1e7)),
)


@given(policies, st.lists(answers, min_size=1, max_size=80), jitters)
def test_an_effect_ends_at_the_first_final_answer_or_when_its_retries_are_used_up(
    policy: RetryPolicy, given_: list[Done | Refused | Retry], jitter: float
) -> None:
    failures = 0
    for answer in given_:
        verdict = judge(answer, policy, failures, jitter)
        if isinstance(verdict, Again):
            assert isinstance(answer, Retry)
            assert failures < policy.retries
            assert 0 <= verdict.after_seconds <= MAX_DELAY_SECONDS * 1.2
            failures += 1
            continue
        assert verdict.succeeded == isinstance(answer, Done)
        assert isinstance(answer, Done | Refused) or failures == policy.retries
        return
    assert failures <= policy.retries


@pytest.mark.requirement("trap-26")
def test_a_later_success_ends_the_effect_well_and_a_policy_without_retries_fails_at_once() -> None:
    policy = RetryPolicy(2, 10.0, "fixed")
    assert judge(Retry("http-503"), policy, 0, 0.0) == Again(10.0, "http-503")
    assert judge(Done({"status": 200}), policy, 1, 0.0) == Finished(True, "", {"status": 200})
    assert judge(Retry("http-503"), RetryPolicy(0, 10.0), 0, 0.0) == Finished(False, "http-503", None)
    assert judge(Refused("http-410"), policy, 0, 0.0) == Finished(False, "http-410", None)


@given(policies, st.integers(1, 200), jitters)
def test_delays_never_shrink_from_one_retry_to_the_next(policy: RetryPolicy, number: int, jitter: float) -> None:
    assert delay_before(policy, number, None, jitter) <= delay_before(policy, number + 1, None, jitter)


@given(policies, st.integers(1, 50), jitters, st.floats(0, 1e9))
def test_what_the_other_side_asks_is_a_lower_bound(policy: RetryPolicy, number: int, jitter: float, asked: float) -> None:
    assert delay_before(policy, number, asked, jitter) >= min(asked, MAX_DELAY_SECONDS)


def test_delays_are_as_configured() -> None:
    doubling, even = RetryPolicy(5, 60.0, "exponential"), RetryPolicy(5, 60.0, "fixed")
    assert [delay_before(doubling, number, None, 0.0) for number in (1, 2, 3, 4)] == [60, 120, 240, 480]
    assert [delay_before(even, number, None, 0.0) for number in (1, 2, 3)] == [60, 60, 60]
    assert delay_before(even, 1, None, 1.0) == 72
    assert delay_before(doubling, 10_000, None, 0.0) == MAX_DELAY_SECONDS


@given(st.text(max_size=300))
def test_a_code_is_short_and_holds_nothing_of_the_other_sides_words(reason: str) -> None:
    code = code_of(reason)
    assert code == "unclear" or code == reason
    assert len(code) <= 100
    assert " " not in code


def test_only_calls_without_an_answer_count_as_lost() -> None:
    assert not is_lost(LOST_CALLS, 0)
    assert is_lost(LOST_CALLS + 1, 0)
    assert not is_lost(LOST_CALLS + 50, 50)


def test_ids_tell_effects_apart_and_never_change() -> None:
    assert str(effect_id("run", "r1", 1, "")) == "3c4cca15-afc5-5aa2-ac0e-2d31113a17f8"
    some = [("run", "r1", 1, ""), ("run", "r1", 2, ""), ("run", "r1|1", 1, ""), ("run", "r1", 1, "x"), ("ru", "nr1", 1, "")]
    assert len({effect_id(*parts) for parts in some}) == len(some)
    assert fingerprint_of("webhook", "hooks.example", "http-503") == "webhook|hooks.example|http-503"
