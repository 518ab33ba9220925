"""Messages sealed as the store seals them, by the million: are their salts and nonces distinct, does the cache keep its limit,
does memory stay flat.

Of each salt and nonce eight bytes are kept, in arrays that are there before the first message: with ten million the chance
that two distinct ones share them is below one in a hundred thousand.
"""

import os
from array import array
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.cases.case import Case
from domain.cases.composing import Composed
from domain.cases.decisions import Decided
from domain.cases.sealing import seal_document
from runtime.keys.ring import DataKey, KeyCache
from runtime.settings import KeySettings
from runtime.snapshots import Context, open_sealed
from schemas.caller import Caller

SUBJECT = ("acme", "an")
DOCUMENT = b'{"total":12.50}'
_AT = datetime(2026, 1, 5, tzinfo=UTC)
_SALT, _NONCE = slice(22, 30), slice(86, 94)
_OPENED_EVERY = 1_000


class Keys:
    """The keys database and a process's cache: a key whose uses are over is read again, the newest one."""

    def __init__(self) -> None:
        # Age is not what this is about, however long the machine takes.
        self.uses = KeySettings().cache_uses
        self._cache = KeyCache(KeySettings(), clock=lambda: 0.0)
        self.newest = DataKey(UUID(int=1), os.urandom(32))
        self.reads = 0

    def current(self) -> DataKey:
        kept = self._cache.current(SUBJECT)
        if kept is None:
            self.reads += 1
            self._cache.keep(SUBJECT, self.newest, current=True)
            kept = self._cache.current(SUBJECT)
        assert kept is not None
        return kept


def many_messages(count: int) -> dict[str, Any]:
    """Seal `count` messages of one subject, whose key is rotated half way; the figures."""
    keys, composed = Keys(), _composed()
    salts, nonces = array("Q", [0]) * count, array("Q", [0]) * count
    late = opened = 0
    # Not where the cache reads its key again anyway.
    rotation = count // 2 + 1
    before = most = _resident_mib()
    for number in range(count):
        if number == rotation:
            keys.newest = DataKey(UUID(int=2), os.urandom(32))
        key = keys.current()
        late += key.key_id != keys.newest.key_id
        snapshot = seal_document(composed, {SUBJECT: key}).snapshot
        assert snapshot is not None
        salts[number] = int.from_bytes(snapshot[_SALT])
        nonces[number] = int.from_bytes(snapshot[_NONCE])
        if number % _OPENED_EVERY == 0:
            most = max(most, _resident_mib())
            place = Context("acme", "Order", "c-1", 1, "an", key.key_id)
            opened += open_sealed(key.secret, place, snapshot) == DOCUMENT
    return {
        "messages": count,
        "salts_repeated": repeated(salts),
        "nonces_repeated": repeated(nonces),
        "opened": opened,
        "key_reads": keys.reads,
        "uses_of_a_read": keys.uses,
        "under_the_old_key_after_its_rotation": late,
        "memory_grown_mib": round(most - before, 1),
    }


def check_messages(figures: dict[str, Any]) -> None:
    """No salt and no nonce came twice, no key was used beyond its limit, memory did not grow."""
    assert (figures["salts_repeated"], figures["nonces_repeated"]) == (0, 0), figures
    assert figures["opened"] == -(-figures["messages"] // _OPENED_EVERY), figures
    assert figures["key_reads"] == -(-figures["messages"] // figures["uses_of_a_read"]), figures
    assert figures["under_the_old_key_after_its_rotation"] < figures["uses_of_a_read"], figures
    assert figures["memory_grown_mib"] < 20, figures


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _composed() -> Composed:
    case = Case("acme", "c-1", "Order", "an", 1, False, _AT, "u", _AT, "u")
    decided = Decided(None, case, Caller("acme", "u", frozenset(), "IMPORT"), {}, DOCUMENT.decode())
    return Composed(decided, DOCUMENT)


def repeated(values: "array[int]") -> int:
    """How many values came before; a part at a time, so that memory stays bounded."""
    parts: list[array[int]] = [array("Q") for _ in range(1_024)]
    for value in values:
        parts[value & 1_023].append(value)
    return sum(len(part) - len(set(part)) for part in parts)
