"""Both bounds within one minute, no more and no less."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.shell.park_rate import ParkRate


@pytest.mark.requirement("SP-9")
@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 500), st.integers(0, 60)), min_size=1, max_size=40))
def test_the_rate_counts_exactly_the_last_minute(batches: list[tuple[float, int, int]]) -> None:
    rate, now, past = ParkRate(100, 0.01), 0.0, []
    for pause, messages, poisoned in batches:
        now += pause
        past.append((now, messages, min(messages, poisoned)))
        passed = rate.add(*past[-1])
        minute = [batch for batch in past if batch[0] > now - 60]
        total, bad = sum(batch[1] for batch in minute), sum(batch[2] for batch in minute)
        assert passed == (bad > 100 and bad > 0.01 * total)


def test_a_hundred_poisoned_messages_are_still_poison_and_one_more_is_a_bug() -> None:
    rate = ParkRate(100, 0.01)
    assert not rate.add(0.0, 1000, 100)
    assert rate.add(1.0, 1, 1)


def test_many_poisoned_among_very_many_good_ones_are_still_poison() -> None:
    assert not ParkRate(100, 0.01).add(0.0, 20_000, 200)
