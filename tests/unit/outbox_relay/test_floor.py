"""The floor never passes a row that is still to come, whatever writers, polls and crashes do in between.

The same histories run with each variant that lost events when it was tried on PostgreSQL: all of them must be caught.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outbox_relay.floor import Candidate, Horizon, settle
from tests.unit.outbox_relay.floor_model import (
    STEPS,
    KeepsItsCandidateOverACrash,
    ReadsTheHorizonAfterTheFetch,
    ReadsTheSequenceLast,
    RelayModel,
    Step,
    TakesXmaxForX,
    loses,
)

HISTORIES = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 11)), min_size=8, max_size=80)
MANY = settings(max_examples=1000, deadline=None, derandomize=True, database=None)


@pytest.mark.requirement("SP-2")
@pytest.mark.hole("floor-drops-candidate-on-new-connection")
@MANY
@given(HISTORIES)
def test_no_history_hides_a_row_under_the_floor(history: list[Step]) -> None:
    assert not loses(RelayModel, history)


@pytest.mark.parametrize(
    "variant", [ReadsTheSequenceLast, ReadsTheHorizonAfterTheFetch, TakesXmaxForX, KeepsItsCandidateOverACrash]
)
def test_each_variant_that_lost_events_is_caught(variant: type[RelayModel]) -> None:
    histories = (random_history(seed) for seed in range(50_000))
    history = next(found for found in histories if loses(variant, found))

    assert not loses(RelayModel, history)


def random_history(seed: int) -> list[Step]:
    """As HISTORIES, but without the search for the shortest one, which takes a hundred times as long."""
    chance = random.Random(seed)
    return [(chance.choice(STEPS), chance.randrange(12)) for _ in range(60)]


def test_a_candidate_ripens_only_when_every_older_transaction_has_ended() -> None:
    waiting = Horizon().draw(last_value=10, next_xid=100)

    assert waiting.observe(xmin=99) == waiting
    assert waiting.observe(xmin=100) == Horizon(settled=10)


def test_a_waiting_candidate_is_not_replaced_by_a_younger_one() -> None:
    assert Horizon().draw(10, 100).draw(20, 200).candidate == Candidate(10, 100)


def test_no_candidate_is_drawn_while_the_sequence_stands_still() -> None:
    assert Horizon(settled=10).draw(10, 100) == Horizon(settled=10)


@pytest.mark.parametrize(
    ("settled", "current", "first_unsent", "expected"),
    [
        (100, 0, None, 100),
        (100, 0, 101, 100),
        (100, 0, 100, 99),
        (100, 0, 41, 40),
        (0, 40, 41, 40),
        (30, 40, None, 40),
    ],
)
def test_the_floor_stays_below_the_first_unsent_row_and_never_falls(
    settled: int, current: int, first_unsent: int | None, expected: int
) -> None:
    assert settle(settled, current, first_unsent) == expected
