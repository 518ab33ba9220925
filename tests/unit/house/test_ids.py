"""UUIDv7: the layout of RFC 9562, order within a process, independence of a forked child."""

import os
import threading
import uuid

from hypothesis import given
from hypothesis import strategies as st

from runtime.ids import Uuid7Source, uuid7

TIMES = st.integers(min_value=0, max_value=(1 << 48) - 2)


@given(TIMES)
def test_an_id_carries_its_time_and_the_version_and_variant_of_the_rfc(unix_ms: int) -> None:
    drawn = Uuid7Source().next(unix_ms)
    assert drawn.int >> 80 == unix_ms
    assert (drawn.version, drawn.variant) == (7, uuid.RFC_4122)


@given(st.lists(TIMES, min_size=2, max_size=50))
def test_ids_rise_whatever_the_clock_does(times: list[int]) -> None:
    source = Uuid7Source()
    drawn = [source.next(unix_ms) for unix_ms in times]
    assert drawn == sorted(drawn)
    assert len(set(drawn)) == len(drawn)


def test_a_full_millisecond_borrows_from_the_next_one() -> None:
    source = Uuid7Source()
    source.next(1000)
    source._random = (1 << 74) - 1
    before = uuid.UUID(int=1000 << 80 | (1 << 80) - 1)
    assert source.next(1000) > before


def test_threads_never_draw_the_same_id() -> None:
    drawn: list[list[uuid.UUID]] = [[] for _ in range(4)]

    def draw(into: list[uuid.UUID]) -> None:
        into.extend(uuid7() for _ in range(2000))

    threads = [threading.Thread(target=draw, args=(into,)) for into in drawn]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for into in drawn for one in into}) == 8000
    assert all(into == sorted(into) for into in drawn)


def test_a_forked_child_does_not_step_from_its_parents_number() -> None:
    uuid7()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, b"".join(uuid7().bytes for _ in range(100)))
        os._exit(0)
    mine = {uuid7() for _ in range(100)}
    os.waitpid(child, 0)
    raw = os.read(read_end, 1600)
    os.close(read_end)
    os.close(write_end)
    its = {uuid.UUID(bytes=raw[at : at + 16]) for at in range(0, 1600, 16)}
    assert len(its) == 100
    assert not mine & its
    # The low 62 bits of a stepping source differ by small steps; a source of its own is nowhere near.
    mask = (1 << 62) - 1
    nearest = min(abs((one.int & mask) - (other.int & mask)) for one in mine for other in its)
    assert nearest > 1 << 33
