"""A subject's next key, and all keys under another key-encryption key while everybody works."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from domain.keys.rewrap import Progress, count_left, rewrap
from domain.keys.rotate import rotate
from runtime.ids import uuid7
from runtime.keys.providers import Wrapped
from runtime.keys.ring import KeyCache, KeyRing
from runtime.settings import KeySettings
from schemas.errors import NotFound
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.conftest import provider
from tests.integration.keys.rewrapping import check_books, rewrapped_though_killed

AN = ("acme", "an")
SUBJECTS = [("acme", f"s{number:03}") for number in range(450)]


def ring_of(pool: asyncpg.Pool, *names: str) -> KeyRing:
    return KeyRing(pool, provider(*names), KeyCache(KeySettings()))


async def finished(steps: AsyncIterator[Progress]) -> Progress:
    return [Progress(), *[one async for one in steps]][-1]


@pytest.mark.requirement("trap-84")
async def test_after_a_rotation_new_data_has_a_new_key_and_old_data_keeps_its_own(
    keys_pool: asyncpg.Pool, ring: KeyRing
) -> None:
    old = (await ring.current([AN]))[AN]
    new_id = await rotate(keys_pool, provider(), *AN)
    assert (await ring.current([AN]))[AN] == old, "this process goes on until its kept key ends"
    ring.release(*AN)
    new = (await ring.current([AN]))[AN]
    assert new.key_id == new_id != old.key_id
    assert new.secret != old.secret
    fresh = ring_of(keys_pool)
    assert await fresh.secrets([(*AN, old.key_id), (*AN, new_id)]) == {old.key_id: old.secret, new_id: new.secret}


async def test_a_subject_without_a_key_cannot_be_rotated(keys_pool: asyncpg.Pool) -> None:
    with pytest.raises(NotFound, match="has no data key"):
        await rotate(keys_pool, provider(), *AN)


@pytest.mark.requirement("trap-84")
async def test_a_rewrap_touches_each_row_once_and_changes_no_secret(keys_pool: asyncpg.Pool) -> None:
    before = await ring_of(keys_pool).current(SUBJECTS)
    both = provider("kek-2", "kek-1")
    assert await count_left(keys_pool, both.kek_id) == 450

    assert await finished(rewrap(keys_pool, both)) == Progress(seen=450, rewrapped=450)

    assert await count_left(keys_pool, both.kek_id) == 0
    assert await ring_of(keys_pool, "kek-2").current(SUBJECTS) == before, "the old key-encryption key is needed no more"
    assert await finished(rewrap(keys_pool, both)) == Progress()


@pytest.mark.requirement("trap-84")
async def test_an_interrupted_rewrap_is_resumed_by_the_next(keys_pool: asyncpg.Pool) -> None:
    before = await ring_of(keys_pool).current(SUBJECTS)
    both = provider("kek-2", "kek-1")
    steps = rewrap(keys_pool, both)
    first = await anext(steps)
    await steps.aclose()  # type: ignore[attr-defined]
    assert 0 < first.rewrapped < 450
    assert await ring_of(keys_pool, "kek-2", "kek-1").current(SUBJECTS) == before, "in between, everything opens"

    rest = await finished(rewrap(keys_pool, both))

    assert first.rewrapped + rest.rewrapped == 450
    assert await ring_of(keys_pool, "kek-2").current(SUBJECTS) == before


async def test_two_at_once_do_each_key_once(keys_pool: asyncpg.Pool) -> None:
    before = await ring_of(keys_pool).current(SUBJECTS)
    both = provider("kek-2", "kek-1")
    done = await asyncio.gather(*(finished(rewrap(keys_pool, both)) for _ in range(3)))
    assert sum(one.rewrapped for one in done) == 450
    assert await ring_of(keys_pool, "kek-2").current(SUBJECTS) == before


async def test_a_key_that_was_shredded_meanwhile_stays_gone(keys_pool: asyncpg.Pool) -> None:
    await ring_of(keys_pool).current(SUBJECTS[:3])

    class Late(type(provider())):  # type: ignore[misc]
        async def wrap(self, secrets: list[tuple[bytes, object]]) -> list[Wrapped]:
            await keys_pool.execute(
                "insert into shredded_subjects (tenant_id, subject_id, shred_id, requested_by, reason)"
                " values ('acme', 's001', $1, 'x', 'y')",
                uuid7(),
            )
            await keys_pool.execute("delete from data_keys where subject_id = 's001'")
            return await provider("kek-2", "kek-1").wrap(secrets)  # type: ignore[arg-type]

    late = Late({"kek-2": bytes(32), "kek-1": bytes(32)})
    late._ciphers = provider("kek-2", "kek-1")._ciphers
    assert await finished(rewrap(keys_pool, late)) == Progress(seen=3, rewrapped=2)
    assert await keys_pool.fetchval("select count(*) from data_keys where subject_id = 's001'") == 0


async def test_a_key_that_does_not_open_is_counted_and_left(keys_pool: asyncpg.Pool) -> None:
    await ring_of(keys_pool).current(SUBJECTS[:3])
    await keys_pool.execute("update data_keys set wrapped = '\\x01' where subject_id = 's001'")
    done = await finished(rewrap(keys_pool, provider("kek-2", "kek-1")))
    assert done == Progress(seen=3, rewrapped=2, broken=1)
    assert await keys_pool.fetchval("select kek_id from data_keys where subject_id = 's001'") == "kek-1"


@pytest.mark.requirement("trap-84")
async def test_a_rewrap_that_was_killed_touches_each_key_once_in_all_while_others_read(
    database: ClonedDatabase, keys_database: ClonedDatabase, tmp_path: Path
) -> None:
    """The full count, a million keys, is in tests/torture/keys."""
    check_books(await rewrapped_though_killed(database, keys_database, tmp_path, 6_000))
