"""How the same messages may arrive: repeated, mixed across keys, in any batches. Seeded, so that a failure repeats."""

import random
from collections.abc import Sequence

from schemas.envelope import CloudEvent

Raw = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def mixed(histories: Sequence[Sequence[CloudEvent]], dice: random.Random) -> list[CloudEvent]:
    """Each key's messages in order, keys mixed at random."""
    turns = [key for key, history in enumerate(histories) for _ in history]
    dice.shuffle(turns)
    left = [iter(history) for history in histories]
    return [next(left[key]) for key in turns]


def redelivered(history: Sequence[CloudEvent], dice: random.Random, most: int = 5) -> list[CloudEvent]:
    """Every message 1 to `most` times; a page sent again begins anywhere and repeats what followed."""
    out: list[CloudEvent] = []
    for position in range(len(history)):
        out.append(history[position])
        for _ in range(dice.randint(0, most - 1) // 2):
            start = dice.randint(0, position)
            out += history[start : position + 1]
    return out
