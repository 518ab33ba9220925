"""Whether a rule that matched may run: loops end, limits hold."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.rules.admission import DEPTH, RATE, TROUBLES, WINDOW, Guard, Refused, admit, link

NOW = datetime(2026, 12, 1, tzinfo=UTC)
NEVER = Guard(0, datetime.min.replace(tzinfo=UTC), 0)


@pytest.mark.requirement("trap-30")
def test_a_rule_never_enters_its_own_chain_again() -> None:
    assert admit("a", None, ["event-1", link("a"), "event-2", link("b")], NEVER, NOW) == Refused("own-chain")
    assert isinstance(admit("c", None, ["event-1", link("a"), link("b")], NEVER, NOW), Guard)


@pytest.mark.requirement("trap-30")
def test_a_chain_holds_eight_rules_and_no_more() -> None:
    chain = [link(str(number)) for number in range(DEPTH)]
    assert isinstance(admit("new", None, chain[:-1], NEVER, NOW), Guard)
    assert admit("new", None, chain, NEVER, NOW) == Refused("chain-depth")


@pytest.mark.requirement("trap-30")
@pytest.mark.hole("loop-guard-without-chain")
def test_a_loop_whose_upstream_drops_the_chain_is_stopped_by_rate() -> None:
    guard: Guard = NEVER
    for number in range(RATE):
        after = admit("a", None, [], guard, NOW + timedelta(seconds=number))
        assert isinstance(after, Guard)
        guard = after

    assert admit("a", None, [], guard, NOW + timedelta(seconds=RATE)) == Refused("rate")
    again = admit("a", None, [], guard, NOW + WINDOW)
    assert isinstance(again, Guard)
    assert (again.executions, again.window_runs) == (RATE + 1, 1)


def test_a_window_that_lies_in_the_future_does_not_stop_a_rule_for_ever() -> None:
    late = Guard(5, NOW + timedelta(hours=1), RATE)
    assert isinstance(admit("a", None, [], late, NOW), Guard)


@pytest.mark.requirement("RU-7", "trap-6")
def test_the_limit_per_entity_counts_runs_and_is_no_trouble() -> None:
    once = admit("a", 1, [], NEVER, NOW)
    assert isinstance(once, Guard)
    refused = admit("a", 1, [], once, NOW)
    assert refused == Refused("max-executions")
    assert refused.reason not in TROUBLES
