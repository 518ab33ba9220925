"""The key ring on a real keys database: keys are made once, bound to their place, kept for a while, and gone when shredded."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from runtime.keys.providers import Wrapped
from runtime.keys.ring import KeyCache, KeyRing, make_keys, open_key_ring
from runtime.settings import KeySettings
from schemas.errors import ConfigurationError
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.conftest import keks, provider, settings_for
from tests.waiting import until

AN, BINH = ("acme", "an"), ("acme", "binh")


async def enter(pool: asyncpg.Pool, subject: tuple[str, str]) -> None:
    await pool.execute(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, requested_by, reason) values ($1, $2, $3, 'x', 'y')",
        *subject,
        uuid4(),
    )


def fresh(pool: asyncpg.Pool, settings: KeySettings | None = None, clock: Callable[[], float] | None = None) -> KeyRing:
    cache = KeyCache(settings or KeySettings(), clock) if clock else KeyCache(settings or KeySettings())
    return KeyRing(pool, provider(), cache)


@pytest.mark.requirement("CD-2", "trap-84")
async def test_a_subject_gets_one_key_that_every_process_finds(keys_pool: asyncpg.Pool, ring: KeyRing) -> None:
    made = await ring.current([AN, BINH, AN])
    assert made.keys() == {AN, BINH}
    assert made[AN].secret != made[BINH].secret
    again = fresh(keys_pool)
    assert await again.current([AN, BINH]) == made
    place = (*AN, made[AN].key_id)
    assert await again.secrets([place]) == {made[AN].key_id: made[AN].secret}
    assert await keys_pool.fetchval("select count(*) from data_keys") == 2


async def test_rings_that_make_a_first_key_at_once_agree(keys_pool: asyncpg.Pool) -> None:
    subjects = [("acme", f"s{number}") for number in range(50)]
    answers = await asyncio.gather(*(fresh(keys_pool).current(subjects) for _ in range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert await keys_pool.fetchval("select count(*) from data_keys") == 50


@pytest.mark.requirement("trap-84")
async def test_a_key_opens_only_under_its_own_subject(keys_pool: asyncpg.Pool, ring: KeyRing) -> None:
    an = (await ring.current([AN]))[AN]
    for stranger in (("other", "an"), BINH):
        assert await fresh(keys_pool).secrets([(*stranger, an.key_id)]) == {}
    # Even the wrapped bytes themselves, copied to another subject's row, open nothing.
    [row] = await keys_pool.fetch("select wrapped, kek_id from data_keys")
    await keys_pool.execute(
        "insert into data_keys (tenant_id, subject_id, key_id, generation, kek_id, wrapped) values ('acme','binh',$1,1,$2,$3)",
        an.key_id, row["kek_id"], row["wrapped"],
    )  # fmt: skip
    assert await fresh(keys_pool).secrets([(*BINH, an.key_id)]) == {}
    assert await fresh(keys_pool).current([BINH]) == {}


async def test_a_kept_key_ends_by_age_by_uses_and_by_number(keys_pool: asyncpg.Pool) -> None:
    now = [0.0]
    ring = fresh(keys_pool, KeySettings(cache_seconds=10, cache_uses=3, cache_keys=2), lambda: now[0])
    key = (await ring.current([AN]))[AN]
    place = (*AN, key.key_id)
    await keys_pool.execute("delete from data_keys")

    for _ in range(3):
        assert key.key_id in await ring.secrets([place])
    assert await ring.secrets([place]) == {}, "the fourth use reads anew"

    key = (await ring.current([AN]))[AN]
    await keys_pool.execute("delete from data_keys")
    now[0] = 9.9
    assert (await ring.current([AN]))[AN] == key
    now[0] = 10.0
    assert (await ring.current([AN]))[AN] != key, "past its age it is read anew, and made anew"

    await ring.current([("acme", "s1"), ("acme", "s2"), ("acme", "s3")])
    assert repr(ring) == "KeyRing(2 keys kept)"


@pytest.mark.requirement("trap-80")
async def test_a_shredded_subject_gets_no_key_and_no_secret(keys_pool: asyncpg.Pool, ring: KeyRing) -> None:
    key = (await ring.current([AN]))[AN]
    await enter(keys_pool, AN)
    await enter(keys_pool, BINH)
    other = fresh(keys_pool)
    assert await other.current([AN, BINH]) == {}
    assert await other.secrets([(*AN, key.key_id)]) == {}
    assert await make_keys(keys_pool, provider(), [(*BINH, 1)]) == 0


@pytest.mark.requirement("trap-80")
async def test_an_idle_process_forgets_a_shredded_subject_by_itself(
    database: ClonedDatabase, keys_database: ClonedDatabase, keys_pool: asyncpg.Pool, tmp_path: Path
) -> None:
    settings = settings_for(database, tmp_path, CASESTREAM_KEYS__WATCH_SECONDS="0.1")
    async with open_key_ring(settings) as ring:
        await ring.current([AN, BINH])
        await enter(keys_pool, AN)
        await until(lambda: repr(ring) == "KeyRing(1 keys kept)", what="the ring to forget")
        assert await ring.current([AN]) == {}


async def test_an_answer_that_was_on_its_way_is_not_kept(keys_pool: asyncpg.Pool) -> None:
    ring = fresh(keys_pool)
    key = (await ring.current([AN]))[AN]

    class Slow(type(provider())):  # type: ignore[misc]
        async def unwrap(self, wrapped: list[tuple[Wrapped, object]]) -> list[bytes | None]:
            reading.forget(*AN)
            return await provider().unwrap(wrapped)  # type: ignore[arg-type]

    reading = KeyRing(keys_pool, Slow({"kek-1": bytes(32)}), KeyCache(KeySettings()))
    assert await reading.secrets([(*AN, key.key_id)]) == {}
    assert repr(reading) == "KeyRing(0 keys kept)"


@pytest.mark.requirement("trap-84")
async def test_a_process_refuses_to_start_when_a_needed_key_encryption_key_is_gone(
    database: ClonedDatabase, keys_database: ClonedDatabase, tmp_path: Path
) -> None:
    async with open_key_ring(settings_for(database, tmp_path)) as ring:
        await ring.current([AN])
    moved = settings_for(database, tmp_path, CASESTREAM_KEYS__KEKS=keks("kek-2", "kek-1"))
    async with open_key_ring(moved) as ring:
        assert AN in await ring.current([AN]), "an old key-encryption key still unwraps"
    lost = settings_for(database, tmp_path, CASESTREAM_KEYS__KEKS=keks("kek-2"))
    with pytest.raises(ConfigurationError, match="kek-1 is gone and data keys need it"):
        async with open_key_ring(lost):
            pass


async def test_a_ring_refuses_a_keys_database_that_is_behind_or_absent(database: ClonedDatabase, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="keys database refuses role cs_keys"):
        async with open_key_ring(settings_for(database, tmp_path), wait=False):
            pass


async def test_secrets_show_in_no_text(ring: KeyRing, keys_pool: asyncpg.Pool) -> None:
    key = (await ring.current([AN]))[AN]
    [row] = await keys_pool.fetch("select wrapped, kek_id from data_keys")
    for shown in (repr(key), str(key), f"{key}", repr(ring), repr(Wrapped(row["kek_id"], row["wrapped"])), repr(provider())):
        assert key.secret.hex() not in shown
        assert repr(key.secret)[2:-1] not in shown
        assert row["wrapped"].hex() not in shown
        assert repr(row["wrapped"])[2:-1] not in shown
