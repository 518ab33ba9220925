"""The key ring of a process: current data keys to encrypt with, secrets by key id to decrypt with.

Keeps a data key for a limited time, number of uses and number of keys; wrapped keys come from the keys database, their
secrets from the provider, in batches. A watch forgets subjects that the ledger names, so that within a minute no process
holds a destroyed key, used or not. What makes a kept key harmless before that is not here: every transaction that encrypts
or decrypts asks domain/keys/guard.py first.

Never does: begin transactions in the main database, log or show a secret.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from runtime.ids import uuid7
from runtime.keys.database import open_keys_pool
from runtime.keys.head import require_keys_schema
from runtime.keys.providers import Binding, KeyEncryption, Wrapped, open_provider
from runtime.keys.secret_bytes import erasable, fresh_secret
from runtime.keys.store import queries
from runtime.logging import get_logger
from runtime.postgres import TRANSIENT, is_transient
from runtime.settings import KeySettings, Settings
from runtime.sql import Connection
from schemas.errors import ConfigurationError, TransientError

log = get_logger(__name__)

Subject = tuple[str, str]
KeyPlace = tuple[str, str, UUID]

# Keys per statement and per call of the provider.
_BATCH = 1000
# Who waits for a key may hold a connection of the main database: better refused than queued behind a database that hangs.
_ACQUIRE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DataKey:
    """A subject's data key; its secret shows in no text, and the ring's is overwritten when nobody holds it any more."""

    key_id: UUID
    secret: bytes = field(repr=False, hash=False)


@dataclass(slots=True)
class _Kept:
    key: DataKey
    until: float
    uses: int = 0


class KeyCache:
    """Data keys in memory, each for `seconds` and `uses`, at most `keys` of them; the longest unused go first.

    A subject that was forgotten because it is shredded is never kept again: an answer may still be on its way.
    """

    def __init__(self, settings: KeySettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._kept: dict[KeyPlace, _Kept] = {}
        self._current: dict[Subject, UUID] = {}
        self._places: dict[Subject, set[KeyPlace]] = {}
        self._shredded: set[Subject] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def current(self, subject: Subject) -> DataKey | None:
        """The key that the subject's new data is encrypted with, while it is kept."""
        key_id = self._current.get(subject)
        return None if key_id is None else self.take((*subject, key_id))

    def take(self, place: KeyPlace) -> DataKey | None:
        """The key, counted as used once; None when it is not kept or its time is over."""
        kept = self._kept.get(place)
        if kept is None:
            return None
        kept.uses += 1
        if kept.uses > self._settings.cache_uses or self._clock() >= kept.until:
            self._drop(place)
            return None
        # The youngest is last: what is taken moves there.
        del self._kept[place]
        self._kept[place] = kept
        return kept.key

    def keep(self, subject: Subject, key: DataKey, *, current: bool = False) -> None:
        if subject in self._shredded:
            return
        place = (*subject, key.key_id)
        self._drop(place)
        while len(self._kept) >= self._settings.cache_keys:
            self._drop(next(iter(self._kept)))
        self._kept[place] = _Kept(key, self._clock() + self._settings.cache_seconds)
        self._places.setdefault(subject, set()).add(place)
        if current:
            self._current[subject] = key.key_id

    def forget(self, subject: Subject) -> None:
        """The subject is shredded."""
        self._shredded.add(subject)
        self.release(subject)

    def release(self, subject: Subject) -> None:
        """Read the subject's keys anew when they are needed again."""
        for place in list(self._places.get(subject, ())):
            self._drop(place)
        self._current.pop(subject, None)

    def is_forgotten(self, subject: Subject) -> bool:
        return subject in self._shredded

    def sweep(self) -> None:
        """Drop what is past its time, used or not."""
        now = self._clock()
        for place in [place for place, kept in self._kept.items() if now >= kept.until]:
            self._drop(place)

    def _drop(self, place: KeyPlace) -> None:
        if self._kept.pop(place, None) is None:
            return
        subject = (place[0], place[1])
        places = self._places[subject]
        places.discard(place)
        if self._current.get(subject) == place[2]:
            del self._current[subject]
        if not places:
            del self._places[subject]


class KeyRing:
    """Data keys by subject and by id. Its calls may wait for the keys database and for the provider; both raise TransientError
    when one of them is away.

    A transaction that would wait for many keys asks before it begins (`secrets` keeps them) and again inside it.
    """

    def __init__(self, pool: asyncpg.Pool, provider: KeyEncryption, cache: KeyCache) -> None:
        self._pool, self._provider, self._cache = pool, provider, cache

    def __repr__(self) -> str:
        return f"KeyRing({len(self._cache)} keys kept)"

    async def current(self, subjects: Sequence[Subject]) -> dict[Subject, DataKey]:
        """The key to encrypt with, for each (tenant, subject); missing ones are made. Absent: a shredded subject."""
        found: dict[Subject, DataKey] = {}
        lacking = []
        for subject in dict.fromkeys(subjects):
            key = self._cache.current(subject)
            if key is not None:
                found[subject] = key
            elif not self._cache.is_forgotten(subject):
                lacking.append(subject)
        for batch in _batches(lacking):
            found |= await self._read_current(batch)
        unmade = [subject for subject in lacking if subject not in found]
        for batch in _batches(unmade):
            await self._make(batch)
            # Not ours perhaps: of two processes that make a first key one wins.
            found |= await self._read_current(batch)
        return found

    async def secrets(self, wanted: Sequence[KeyPlace]) -> dict[UUID, bytes]:
        """Secrets by key id, for each (tenant, subject, key id). Absent: unknown, destroyed, or another subject's."""
        found: dict[UUID, bytes] = {}
        lacking = []
        for place in wanted:
            if place[2] in found:
                continue
            key = self._cache.take(place)
            if key is None:
                lacking.append(place)
            else:
                found[key.key_id] = key.secret
        for batch in _batches(list(dict.fromkeys(lacking))):
            async with self._connection() as conn:
                rows = await queries.list_keys(
                    conn,
                    tenants=[tenant for tenant, _, _ in batch],
                    subjects=[subject for _, subject, _ in batch],
                    key_ids=[key_id for _, _, key_id in batch],
                )
            found |= {key.key_id: key.secret for _, key in await self._opened(rows, current=False)}
        return found

    def forget(self, tenant: str, subject: str) -> None:
        """The subject is shredded: its keys leave this process and never come back."""
        self._cache.forget((tenant, subject))

    def is_forgotten(self, tenant: str, subject: str) -> bool:
        """Whether the keys database's ledger named the subject; it does so a moment before the main ledger."""
        return self._cache.is_forgotten((tenant, subject))

    def release(self, tenant: str, subject: str) -> None:
        """The subject has a newer key: read it when it is needed."""
        self._cache.release((tenant, subject))

    async def look_at_ledger(self) -> None:
        """Forget whom the ledger names, and drop what is past its time."""
        for row in await queries.list_lately_shredded(self._pool):
            self._cache.forget((row["tenant_id"], row["subject_id"]))
        self._cache.sweep()

    async def watch(self, every_seconds: float) -> None:
        """`look_at_ledger` again and again, until cancelled. What it cannot ask it asks the next time."""
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.look_at_ledger()
            except (asyncpg.PostgresError, *TRANSIENT) as error:
                # Never the end of the watch: whatever refuses the question, keys past their time leave.
                self._cache.sweep()
                log.warning("the shred ledger was not looked at", error=error)

    async def check(self) -> None:
        """Raises ConfigurationError when a key-encryption key that still wraps data keys is gone."""
        gone = await self._provider.missing(await queries.list_keks(self._pool))
        if gone:
            cure = "restore it: destroy a key-encryption key only when `casestream keys rewrap` has left it no data key"
            raise ConfigurationError([f"key-encryption key {kek_id} is gone and data keys need it; {cure}" for kek_id in gone])

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """One of the pool's, for one statement. Raises TransientError: none is free, or the keys database is away."""
        try:
            async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as conn:
                yield conn
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            if not is_transient(error):
                raise
            raise TransientError("asking the keys database for data keys failed; repeat the request") from error

    async def _read_current(self, subjects: Sequence[Subject]) -> dict[Subject, DataKey]:
        async with self._connection() as conn:
            rows = await queries.list_current(
                conn, tenants=[tenant for tenant, _ in subjects], subjects=[subject for _, subject in subjects]
            )
        return dict(await self._opened(rows, current=True))

    async def _opened(self, rows: Iterable[Any], *, current: bool) -> list[tuple[Subject, DataKey]]:
        rows = list(rows)
        if not rows:
            return []
        with _refusals_pass():
            secrets = await self._provider.unwrap([(Wrapped(row["kek_id"], row["wrapped"]), binding_of(row)) for row in rows])
        found = []
        for row, secret in zip(rows, secrets, strict=True):
            subject = (row["tenant_id"], row["subject_id"])
            if secret is None:
                # Its snapshots cannot be opened, which their readers say in their own way.
                log.error("a wrapped data key does not open", key_id=str(row["key_id"]), tenant_id=subject[0])
                continue
            key = DataKey(row["key_id"], erasable(secret))
            self._cache.keep(subject, key, current=current)
            found.append((subject, key))
        return [pair for pair in found if not self._cache.is_forgotten(pair[0])]

    async def _make(self, subjects: Sequence[Subject]) -> None:
        with _refusals_pass():
            made = await _wrap_new(self._provider, [(tenant, subject, 1) for tenant, subject in subjects])
        async with self._connection() as conn:
            await queries.insert_keys(conn, **made)


@contextmanager
def _refusals_pass() -> Iterator[None]:
    """A process that runs was configured well: a provider that refuses it now will be mended, and no message is to blame."""
    try:
        yield
    except ConfigurationError as error:
        raise TransientError(f"asking the provider of key-encryption keys failed: {'; '.join(error.problems)}") from error


async def make_keys(conn: Any, provider: KeyEncryption, wanted: Sequence[tuple[str, str, int]]) -> int:
    """Make data keys for (tenant, subject, generation), except where it is taken or the subject shredded; how many."""
    stored: int = await queries.insert_keys(conn, **await _wrap_new(provider, wanted))
    return stored


async def _wrap_new(provider: KeyEncryption, wanted: Sequence[tuple[str, str, int]]) -> dict[str, list[Any]]:
    """The columns of new keys."""
    bindings = [Binding(tenant, subject, uuid7()) for tenant, subject, _ in wanted]
    wrapped = await provider.wrap([(fresh_secret(32), binding) for binding in bindings])
    return {
        "tenants": [binding.tenant for binding in bindings],
        "subjects": [binding.subject for binding in bindings],
        "key_ids": [binding.key_id for binding in bindings],
        "generations": [generation for _, _, generation in wanted],
        "kek_ids": [one.kek_id for one in wrapped],
        "wrapped": [one.blob for one in wrapped],
    }


def binding_of(row: Any) -> Binding:
    """What the wrapping of a row of `data_keys` is bound to."""
    return Binding(row["tenant_id"], row["subject_id"], row["key_id"])


def _batches(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


@asynccontextmanager
async def open_key_ring(settings: Settings, *, wait: bool = True) -> AsyncIterator[KeyRing]:
    """A ring with a pool of its own and its watch. Raises ConfigurationError: provider, database behind, a lost key."""
    async with open_provider(settings) as provider:
        pool = await open_keys_pool(settings, wait=wait)
        try:
            await require_keys_schema(pool)
            ring = KeyRing(pool, provider, KeyCache(settings.keys))
            await ring.check()
            watching = asyncio.create_task(ring.watch(settings.keys.watch_seconds), name="key-ring-watch")
            try:
                yield ring
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        finally:
            await asyncio.wait_for(pool.close(), 5.0)
