"""Whose turn it is. Pure."""

from collections.abc import Collection, Sequence


def next_in_turn(order: Sequence[str], active: Collection[str], last: str | None) -> str | None:
    """The active one after `last`, round the circle; None when nobody is active.

    Remembering who was last, and not a number, keeps the turn fair when people join, leave or come back: one who left
    keeps its place in the order for as long as it is listed, and from an unknown `last` the circle begins anew.
    """
    begin = order.index(last) + 1 if last in order else 0
    for user in (*order[begin:], *order[:begin]):
        if user in active:
            return user
    return None
