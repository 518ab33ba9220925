"""The books tell when something is missing: the control that the demo's verdict can fail."""

from collections import Counter

from demo.oracle import Expected
from demo.run import Books
from demo.volume import volume


def balanced() -> Books:
    load = volume(1_000, "t", ("north",), ["Resolver 1"])
    refused = Counter({("Close", "InvalidTransition"): 2})
    books = Books(Expected(items=5, commands=12, applied=10, refused=refused.copy()), load, Counter())
    books.refused.update(refused)
    books.commands = 12 + load.commands
    books.applied = 10 + load.commands - load.parked
    books.parked = [{"messages": load.parked}]
    return books


def test_books_that_add_up_have_no_problem() -> None:
    assert balanced().problems() == []


def test_a_lost_command_a_changed_refusal_and_disorder_are_each_named() -> None:
    lost, other, disorder = balanced(), balanced(), balanced()
    lost.applied -= 1
    other.refused["Close", "PermissionDenied"] += 1
    other.refused["Close", "InvalidTransition"] -= 1
    disorder.seen.disorder = 1
    assert [problem.split(":")[0] for problem in lost.problems()] == [
        "distinct commands = applied + refused + parked",
        "applied, by the oracle",
    ]
    assert [problem.split(":")[0] for problem in other.problems()] == ["refused, by the oracle"]
    assert [problem.split(":")[0] for problem in disorder.problems()] == ["events out of order"]
