"""The pure heart against an oracle that knows no batches: any history, any delivery, any split."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.shell.oracle import Oracle, Sent
from tests.unit.shell.tables import Tables

AGGREGATES = ("a", "b", "c")


@st.composite
def histories(draw: st.DrawFn) -> list[Sent]:
    """Valid histories of a few aggregates, as a producer and Kafka may deliver them."""
    events: list[tuple[str | None, str, int | None, str, bool]] = []
    for aggregate in AGGREGATES:
        count = draw(st.integers(0, 6))
        numbered = draw(st.booleans())
        keyed = draw(st.integers(0, 9)) > 0
        for number in range(1, count + 1):
            readable = draw(st.integers(0, 19)) > 0
            event = (aggregate if keyed else None, aggregate, number if numbered else None, f"{number}", readable)
            # Lost, delivered once, or several times.
            events += [event] * draw(st.sampled_from([0, 1, 1, 1, 1, 1, 2, 3]))
    if draw(st.booleans()):
        # The relay's order: per key in order, keys mixed.
        tagged = [(draw(st.integers(0, 20)), at, event) for at, event in enumerate(events)]
        order = {aggregate: sorted(tag for tag, _, event in tagged if event[1] == aggregate) for aggregate in AGGREGATES}
        events = [event for _, _, event in sorted((order[event[1]].pop(0), at, event) for _, at, event in tagged)]
    else:
        events = draw(st.permutations(events))
    return [
        Sent(offset, key, aggregate, number, f"{aggregate}{identity}", readable)
        for offset, (key, aggregate, number, identity, readable) in enumerate(events)
    ]


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Sent], set[str], bool, list[int]]:
    """A history, what cannot be applied, whether decoding or deciding fails, and the batch sizes."""
    history = draw(histories())
    names = sorted({sent.name for sent in history})
    broken = set(draw(st.lists(st.sampled_from(names), max_size=3))) if names else set()
    sizes = draw(st.lists(st.integers(1, 9), min_size=len(history), max_size=len(history)))
    return history, broken, draw(st.booleans()), sizes


@st.composite
def orders(draw: st.DrawFn) -> list[tuple[str | None, bool, int]]:
    """Rounds of redriving: a key (None: those without), whether its head is discarded, and the page."""
    return draw(st.lists(st.tuples(st.sampled_from([*AGGREGATES, None]), st.booleans(), st.integers(1, 4)), max_size=12))


def split(history: list[Sent], sizes: list[int]) -> list[list[Sent]]:
    batches, at = [], 0
    for size in sizes:
        if at >= len(history):
            break
        batches.append(history[at : at + size])
        at += size
    return batches


def assert_same(tables: Tables, oracle: Oracle) -> None:
    assert {key: list(log) for key, log in tables.logs.items() if log} == {key: log for key, log in oracle.logs.items() if log}
    assert {aggregate.aggregate: last for aggregate, last in tables.last.items()} == {
        f"acme|x|{aggregate}": last for aggregate, last in oracle.last.items() if last
    }
    waiting = {sent.offset for row in oracle.waiting.values() for sent in row.values()}
    assert {sent.offset for sent in tables.waiting.values()} == waiting
    parked = {sent.offset for queue in oracle.queues.values() for sent in queue} | {sent.offset for sent in oracle.alone}
    assert set(tables.parked) == parked
    assert tables.marked == set(oracle.queues)
    assert tables.dropped == oracle.dropped


def run(
    history: list[Sent], broken: set[str], undecodable: bool, sizes: list[int], latest_wins: bool = False
) -> tuple[Tables, Oracle]:
    tables = Tables(broken=set(broken), undecodable=undecodable, latest_wins=latest_wins)
    oracle = Oracle(broken=set(broken), latest_wins=latest_wins)
    for batch in split(history, sizes):
        tables.apply(batch)
    for sent in history:
        oracle.deliver(sent)
    return tables, oracle


@pytest.mark.requirement("SP-4", "SP-6")
@pytest.mark.hole("gap-waits")
@settings(max_examples=600, deadline=None)
@given(runs())
def test_any_split_of_any_delivery_gives_what_one_by_one_gives(case: tuple[list[Sent], set[str], bool, list[int]]) -> None:
    tables, oracle = run(*case)
    assert_same(tables, oracle)


@pytest.mark.requirement("CD-13", "trap-85")
@settings(max_examples=600, deadline=None)
@given(runs(), orders())
def test_where_the_latest_wins_nothing_waits_and_no_older_number_is_applied_after_a_newer_one(
    case: tuple[list[Sent], set[str], bool, list[int]], rounds: list[tuple[str | None, bool, int]]
) -> None:
    tables, oracle = run(*case, latest_wins=True)
    redrive(tables, oracle, rounds)
    assert_same(tables, oracle)
    assert not tables.waiting
    numbered = {sent.name: sent.number for sent in case[0] if sent.number is not None}
    for log in tables.logs.values():
        numbers = [numbered[name] for name in log if name in numbered]
        assert numbers == sorted(set(numbers))


@settings(max_examples=300, deadline=None)
@given(runs())
def test_every_message_is_applied_dropped_waiting_or_parked(case: tuple[list[Sent], set[str], bool, list[int]]) -> None:
    history = case[0]
    tables, _ = run(*case)
    applied = sum(map(len, tables.logs.values()))
    assert len(history) == applied + tables.dropped + len(tables.waiting) + len(tables.parked)
    for log in tables.logs.values():
        assert max(Counter(log).values(), default=0) <= 1, "applied twice"


@settings(max_examples=300, deadline=None)
@given(runs())
def test_numbers_are_applied_without_a_hole_and_in_order(case: tuple[list[Sent], set[str], bool, list[int]]) -> None:
    tables, _ = run(*case)
    numbered = {sent.name: sent.number for sent in case[0] if sent.number is not None}
    for log in tables.logs.values():
        numbers = [numbered[name] for name in log if name in numbered]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.requirement("SP-9")
@settings(max_examples=600, deadline=None)
@given(runs(), orders(), st.booleans())
def test_redrive_and_discard_give_what_one_by_one_gives(
    case: tuple[list[Sent], set[str], bool, list[int]], rounds: list[tuple[str | None, bool, int]], mended: bool
) -> None:
    tables, oracle = run(*case)
    if mended:
        tables.broken.clear()
        oracle.broken.clear()
    redrive(tables, oracle, rounds)
    assert_same(tables, oracle)


def redrive(tables: Tables, oracle: Oracle, rounds: list[tuple[str | None, bool, int]]) -> None:
    for key, discard, page in rounds:
        queue = [sent for _, sent in sorted(tables.parked.items()) if sent.key == key]
        discards = frozenset(sent.offset for sent in queue[:1] if discard)
        if key is None:
            oracle.redrive_alone(discards)
        else:
            oracle.redrive(key, discards)
        for at in range(0, len(queue), page):
            tables.apply(queue[at : at + page], redriven=True, discards=discards)


@pytest.mark.requirement("SP-9")
@settings(max_examples=300, deadline=None)
@given(histories(), st.booleans(), st.integers(1, 9))
def test_after_the_cause_is_mended_a_redrive_ends_as_if_nothing_had_failed(
    history: list[Sent], undecodable: bool, size: int
) -> None:
    history = [sent for sent in history if sent.readable]
    broken = {sent.name for sent in history[::3]}
    tables, _ = run(history, broken, undecodable, [size] * len(history))
    tables.broken.clear()
    for key in [*AGGREGATES, None]:
        tables.apply([sent for _, sent in sorted(tables.parked.items()) if sent.key == key], redriven=True)
    whole = Oracle()
    for sent in history:
        whole.deliver(sent)
    assert not tables.parked
    assert not tables.marked
    numbered = {sent.aggregate for sent in history if sent.number is not None}
    for aggregate in AGGREGATES:
        log, expected = list(tables.logs[aggregate]), whole.logs[aggregate]
        # Records without a key and without a number promise no order.
        ordered = aggregate in numbered or any(sent.key for sent in history if sent.aggregate == aggregate)
        assert (log if ordered else sorted(log)) == (expected if ordered else sorted(expected))


def test_control_a_shell_that_forgets_waiting_messages_loses_them() -> None:
    history = [Sent(0, "a", "a", 1, "1"), Sent(1, "a", "a", 3, "3"), Sent(2, "a", "a", 2, "2")]
    tables, oracle = Tables(forget_waiting=True), Oracle()
    for sent in history:
        tables.apply([sent])
        oracle.deliver(sent)
    with pytest.raises(AssertionError):
        assert_same(tables, oracle)


def test_control_an_oracle_of_another_order_is_noticed() -> None:
    history = [Sent(0, "a", "a", None, "1"), Sent(1, "a", "a", None, "2")]
    tables, oracle = Tables(), Oracle()
    tables.apply(history)
    for sent in reversed(history):
        oracle.deliver(sent)
    with pytest.raises(AssertionError):
        assert_same(tables, oracle)
