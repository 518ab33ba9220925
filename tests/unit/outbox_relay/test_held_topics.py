"""A topic in trouble waits alone: longer each time, never so long that its return is late, and not at all once it works."""

from outbox_relay.held_topics import LONGEST_SECONDS, HeldTopics


def test_a_topic_is_held_for_a_moment_and_then_tried_again() -> None:
    held = HeldTopics()
    held.hold(["a"], now=10.0)
    assert held.names(10.5) == {"a"}
    assert held.names(11.0) == frozenset()
    assert held.is_suspect("a")


def test_each_trouble_in_a_row_doubles_the_moment_up_to_a_bound() -> None:
    held, now, waited = HeldTopics(), 0.0, []
    for _ in range(5):
        held.hold(["a"], now)
        began = now
        while held.names(now):
            now += 0.25
        waited.append(now - began)
    assert waited == [1.0, 2.0, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


def test_a_topic_that_works_again_begins_anew() -> None:
    held = HeldTopics()
    held.hold(["a", "b"], now=0.0)
    held.hold(["a"], now=1.0)
    held.release(["a", "never-held"])
    assert held.names(1.5) == frozenset()
    assert (held.is_suspect("a"), held.is_suspect("b")) == (False, True)
    held.hold(["a"], now=2.0)
    assert held.names(3.0) == frozenset()
