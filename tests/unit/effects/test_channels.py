"""Places for calls: limits hold, nobody starves, circuits open and close."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from domain.effects.channels import Channel, Limits, allot, circuit_after

TENANTS, ENDPOINTS = ("t1", "t2", "t3"), ("a", "b")
keys = st.tuples(st.sampled_from(TENANTS), st.sampled_from(ENDPOINTS))
limits_ = st.builds(
    Limits, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0, 2, 20]), st.sampled_from([0, 3, 30]),
    st.integers(1, 4), st.just(5.0), st.just(60.0),
)  # fmt: skip
channels_ = st.dictionaries(
    keys, st.tuples(st.integers(1, 20), st.floats(0, 100), st.integers(0, 6), st.floats(0, 30), st.floats(0, 5)), max_size=6
).map(
    lambda found: [
        Channel(*key, due, old, bad, tokens, idle, tokens, idle) for key, (due, old, bad, tokens, idle) in found.items()
    ]
)


@given(channels_, st.dictionaries(keys, st.integers(1, 9), max_size=6), limits_, st.integers(0, 40))
def test_no_limit_is_passed_and_no_place_is_kept_back(
    channels: list[Channel], flying: dict[tuple[str, str], int], limits: Limits, places: int
) -> None:
    calls = Counter(allot(channels, flying, limits, places).calls)
    assert calls.total() <= places
    together = Counter(flying) + calls
    for channel in channels:
        most = limits.channel_calls if channel.failures < limits.threshold else 1
        mine = calls[channel.key]
        assert mine <= channel.due
        tenant = sum(count for (name, _), count in together.items() if name == channel.tenant_id)
        endpoint = sum(count for (_, name), count in together.items() if name == channel.endpoint)
        if mine:
            assert together[channel.key] <= most
            assert tenant <= limits.tenant_calls
            assert endpoint <= limits.endpoint_calls
        elif calls.total() < places:
            # Whoever got nothing although places were left was held back by a limit.
            rate = limits.channel_rate or limits.tenant_rate
            assert (
                together[channel.key] >= most or tenant >= limits.tenant_calls or endpoint >= limits.endpoint_calls or rate > 0
            )


def test_a_channel_with_much_work_leaves_the_others_theirs() -> None:
    wide = Limits(100, 100, 100, 0, 0, 5, 5.0, 60.0)
    channels = [Channel("t1", "a", 1000, 90.0), Channel("t2", "a", 3, 1.0), Channel("t2", "b", 3, 0.0)]
    assert allot(channels, {}, wide, 12).calls == {("t1", "a"): 6, ("t2", "a"): 3, ("t2", "b"): 3}


def test_tokens_are_spent_and_refilled() -> None:
    limits = Limits(100, 100, 100, 0, 10, 5, 5.0, 60.0)
    first = allot([Channel("t", "a", 50, 1.0, 0, 1e9, 0.0)], {}, limits, 50)
    assert first.calls == {("t", "a"): 10}
    assert first.tokens == {("t", "a"): 0}
    later = allot([Channel("t", "a", 50, 1.0, 0, 0.0, 0.35)], {}, limits, 50)
    assert later.calls == {("t", "a"): 3}
    assert allot([Channel("t", "a", 50, 1.0, 0, 0.0, 0.01)], {}, limits, 50).calls == {}


def test_a_failing_channel_gets_one_probe_at_a_time() -> None:
    limits = Limits(100, 100, 100, 0, 0, 3, 5.0, 60.0)
    assert allot([Channel("t", "a", 50, 1.0, failures=3)], {}, limits, 50).calls == {("t", "a"): 1}
    assert allot([Channel("t", "a", 50, 1.0, failures=3)], {("t", "a"): 1}, limits, 50).calls == {}
    assert allot([Channel("t", "a", 50, 1.0, failures=2)], {}, limits, 50).calls == {("t", "a"): 50}


@given(st.integers(0, 10), st.lists(st.booleans(), max_size=20), st.integers(1, 5))
def test_a_circuit_opens_after_failures_in_a_row_and_closes_with_an_answer(
    failures: int, answers: list[bool], threshold: int
) -> None:
    limits = Limits(1, 1, 1, 0, 0, threshold, 5.0, 60.0)
    after, seconds = circuit_after(failures, answers, limits)
    in_a_row = answers[::-1].index(True) if True in answers else failures + len(answers)
    assert after == in_a_row
    assert (seconds > 0) == (after >= threshold and answers != [] and not answers[-1])
    assert seconds <= 60.0


def test_circuits_stay_open_longer_each_time() -> None:
    limits = Limits(1, 1, 1, 0, 0, 3, 5.0, 60.0)
    assert [circuit_after(before, [False], limits)[1] for before in (1, 2, 3, 4, 5, 6, 7)] == [0, 5, 10, 20, 40, 60, 60]
