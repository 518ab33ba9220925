"""Key-encryption keys for a developer's machine: from a file that `casestream up` makes, or from the environment.

Production refuses both: a key on a disk or in an environment is in every backup and every process list.
Wrapping: version(1) | nonce(12) | AES-256-GCM of the secret, with the binding and the key-encryption key's id as
associated data.
"""

import base64
import binascii
import json
import os
import re
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.keys.providers import Binding, KeyEncryption, Wrapped, refuse_in_production
from runtime.keys.secret_bytes import SecretBytes, erasable
from runtime.settings import Settings
from schemas.errors import ConfigurationError

_VERSION = b"\x01"
_OVERHEAD = 1 + 12 + 16
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


class LocalKeks:
    """Key-encryption keys in this process's memory; the first one wraps, all unwrap."""

    def __init__(self, keks: Mapping[str, bytes]) -> None:
        self._current = next(iter(keks))
        self._ciphers = {kek_id: AESGCM(kek) for kek_id, kek in keks.items()}

    @property
    def kek_id(self) -> str:
        return self._current

    async def wrap(self, secrets: Sequence[tuple[bytes, Binding]]) -> list[Wrapped]:
        return [Wrapped(self._current, self._wrapped(secret, binding)) for secret, binding in secrets]

    async def unwrap(self, wrapped: Sequence[tuple[Wrapped, Binding]]) -> list[bytes | None]:
        return [self._unwrapped(one, binding) for one, binding in wrapped]

    async def missing(self, kek_ids: Sequence[str]) -> list[str]:
        return [kek_id for kek_id in kek_ids if kek_id not in self._ciphers]

    def _wrapped(self, secret: bytes, binding: Binding) -> bytes:
        nonce = os.urandom(12)
        return _VERSION + nonce + self._ciphers[self._current].encrypt(nonce, secret, _associated(self._current, binding))

    def _unwrapped(self, wrapped: Wrapped, binding: Binding) -> bytes | None:
        cipher = self._ciphers.get(wrapped.kek_id)
        if cipher is None:
            raise ConfigurationError([_lacking(wrapped.kek_id)])
        if wrapped.blob[:1] != _VERSION:
            return None
        try:
            # Into its own place: what `decrypt` returns would stay in memory after it is freed.
            secret = SecretBytes(len(wrapped.blob) - _OVERHEAD)
            cipher.decrypt_into(wrapped.blob[1:13], wrapped.blob[13:], _associated(wrapped.kek_id, binding), secret)
            return erasable(secret)
        except (InvalidTag, ValueError):
            return None


def _associated(kek_id: str, binding: Binding) -> bytes:
    return kek_id.encode() + b"\x00" + binding.canonical()


def _lacking(kek_id: str) -> str:
    return f"key-encryption key {kek_id} is not among the configured ones: give it back until `casestream keys rewrap` is done"


@asynccontextmanager
async def open_file(settings: Settings) -> AsyncIterator[KeyEncryption]:
    """The provider `file`. Raises ConfigurationError: production, no file, a file that others may read, a broken key."""
    refuse_in_production(settings)
    yield LocalKeks(read_kek_file(kek_file(settings)))


@asynccontextmanager
async def open_environment(settings: Settings) -> AsyncIterator[KeyEncryption]:
    """The provider `environment`: CASESTREAM_KEYS__KEKS, comma separated id:base64, the current one first."""
    refuse_in_production(settings)
    given = settings.keys.keks
    if given is None:
        raise ConfigurationError(["CASESTREAM_KEYS__KEKS is not set: expected id:base64 of 32 bytes, comma separated"])
    pairs = [part.strip().partition(":") for part in given.get_secret_value().split(",")]
    yield LocalKeks(_keks({kek_id: text for kek_id, _, text in pairs}, "CASESTREAM_KEYS__KEKS"))


def kek_file(settings: Settings) -> Path:
    return settings.keys.kek_file or settings.home / "keys" / "keks.json"


def read_kek_file(path: Path) -> dict[str, bytes]:
    """A JSON object of id -> base64 of 32 bytes, the current one first."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        cure = "`casestream up` makes one, `casestream keys new-kek` adds one"
        raise ConfigurationError(
            [f"{path}: no readable file of key-encryption keys ({type(error).__name__}): {cure}"]
        ) from None
    if mode & 0o077:
        raise ConfigurationError([f"{path}: mode {mode:o} lets others read key-encryption keys: chmod 600 {path}"])
    if not isinstance(content, dict):
        raise ConfigurationError([f"{path}: expected a JSON object of id and base64 text"])
    return _keks(content, str(path))


def new_kek() -> str:
    """The text of a new key-encryption key."""
    return base64.b64encode(os.urandom(32)).decode()


def _keks(texts: Mapping[str, object], where: str) -> dict[str, bytes]:
    keks, problems = {}, []
    for kek_id, text in texts.items():
        kek = _decoded(text)
        if not _ID.fullmatch(kek_id):
            problems.append(f"{where}: an id must be 1 to 100 of A-Z a-z 0-9 . _ -")
        elif kek is None:
            problems.append(f"{where}: the key of {kek_id} must be base64 of 32 bytes")
        else:
            keks[kek_id] = kek
    if problems or not keks:
        raise ConfigurationError(problems or [f"{where}: no key-encryption key in it"])
    return keks


def _decoded(text: object) -> bytes | None:
    try:
        kek = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return None
    return kek if len(kek) == 32 else None
