"""The provider `vault`: encrypt and decrypt of Vault's transit engine in batches, the binding as associated data.

The policy needs update on `encrypt/KEY` and `decrypt/KEY` of the mount, and read on `keys/KEY`. After a rotation in Vault new
data keys get the new version; `casestream keys rewrap` brings the others to it, by decrypt and encrypt: Vault's own rewrap
knows no associated data (hashicorp/vault issue 29532).
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any
from urllib.parse import quote

from runtime.keys.providers import Binding, KeyEncryption, Wrapped
from runtime.keys.remote import Answer, Remote, as_body, connect, from_base64, read_token, to_base64
from runtime.settings import Settings
from runtime.settings.key_providers import VaultSettings
from schemas.errors import ConfigurationError, TransientError

BATCH = 500
# Standby of a disaster recovery or a performance cluster; a request whose state has not arrived yet.
_LATER = frozenset({412, 472, 473})
_CIPHERTEXT = re.compile(r"vault:v(\d+):.+")
# Beginnings of what Vault says of a ciphertext that is damaged or belongs to another place.
_DOES_NOT_OPEN = ("cipher: message authentication failed", "invalid ciphertext", "ciphertext must be", "missing ciphertext")
_CURE = "look at the token, its policy, and the key"


class VaultTransit:
    """One key of a transit engine, in all its versions."""

    def __init__(self, remote: Remote, settings: VaultSettings) -> None:
        self._remote, self._settings = remote, settings
        self._name = f"{settings.mount.strip('/')}/{settings.key}"
        self._version = 0

    @property
    def kek_id(self) -> str:
        return self._id(self._version)

    async def look(self) -> None:
        """Find the newest version. Raises ConfigurationError for a key that cannot carry associated data."""
        found = await self._key()
        if found is None:
            raise ConfigurationError([f"CASESTREAM_VAULT__KEY: Vault has no key {self._name}"])
        if found.get("type") not in ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305") or found.get("derived"):
            raise ConfigurationError([f"CASESTREAM_VAULT__KEY: {self._name} must be of type aes256-gcm96 and not derived"])
        self._version = int(found.get("latest_version", 0))

    async def wrap(self, secrets: Sequence[tuple[bytes, Binding]]) -> list[Wrapped]:
        inputs = [{"plaintext": to_base64(secret), **_bound(binding)} for secret, binding in secrets]
        wrapped = [self._wrapped(result) for result in await self._batches("encrypt", inputs)]
        if wrapped:
            # Somebody may have rotated the key since we looked.
            self._version = int(wrapped[-1].kek_id.rpartition(":v")[2])
        return wrapped

    async def unwrap(self, wrapped: Sequence[tuple[Wrapped, Binding]]) -> list[bytes | None]:
        if any(not one.kek_id.startswith(f"{self._name}:v") for one, _ in wrapped):
            cure = f"this process knows {self._name}: give the other one back until `casestream keys rewrap` is done"
            raise ConfigurationError([f"a data key was wrapped by another key: {cure}"])
        inputs = [{"ciphertext": one.blob.decode("ascii", "replace"), **_bound(binding)} for one, binding in wrapped]
        return [self._opened(result) for result in await self._batches("decrypt", inputs)]

    async def missing(self, kek_ids: Sequence[str]) -> list[str]:
        if not kek_ids:
            return []
        found = await self._key()
        first = int(found.get("min_decryption_version", 1)) if found else 0
        last = int(found.get("latest_version", 0)) if found else -1
        usable = {self._id(version) for version in range(first, last + 1)}
        return [kek_id for kek_id in kek_ids if kek_id not in usable]

    def _id(self, version: int) -> str:
        return f"{self._name}:v{version}"

    def _wrapped(self, result: dict[str, Any]) -> Wrapped:
        if result.get("error"):
            raise ConfigurationError([f"{self._remote.name} does not encrypt with {self._name}: {_CURE}"])
        text = result.get("ciphertext")
        found = _CIPHERTEXT.fullmatch(text) if isinstance(text, str) and text.isascii() else None
        if found is None:
            raise self._remote.garbled("encrypt")
        return Wrapped(self._id(int(found[1])), found[0].encode())

    def _opened(self, result: dict[str, Any]) -> bytes | None:
        error = str(result.get("error", ""))
        if error.startswith(_DOES_NOT_OPEN):
            return None
        if error:
            raise ConfigurationError([f"{self._remote.name} opens no ciphertext of this version of {self._name}: {_CURE}"])
        secret = from_base64(result.get("plaintext"))
        if secret is None:
            raise self._remote.garbled("decrypt")
        return secret

    async def _batches(self, action: str, inputs: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        for batch in _batched(inputs):
            results += await self._batch(action, batch)
        return results

    async def _batch(self, action: str, batch: list[dict[str, str]]) -> list[dict[str, Any]]:
        mount, key = self._name.rsplit("/", 1)
        # Of a batch of which some do not open this makes a good answer; one of which none does has status 400 all the same.
        words = {"batch_input": batch, "partial_failure_response_code": 200}
        answer = await self._call("POST", f"/v1/{quote(mount)}/{action}/{quote(key)}", words)
        results = _results(answer, len(batch))
        if results is None and not answer.good:
            self._remote.refuse(action, answer, None, _CURE)
        if results is None:
            raise self._remote.garbled(action)
        return results

    async def _key(self) -> dict[str, Any] | None:
        """What Vault says of the key, or None when there is none."""
        mount, key = self._name.rsplit("/", 1)
        answer = await self._call("GET", f"/v1/{quote(mount)}/keys/{quote(key)}")
        data = answer.content.get("data")
        if answer.status == 404:
            return None
        if not answer.good:
            self._remote.refuse("describe the key", answer, None, _CURE)
        if not isinstance(data, dict):
            raise self._remote.garbled("describe the key")
        return data

    async def _call(self, method: str, path: str, words: dict[str, Any] | None = None) -> Answer:
        headers = {"X-Vault-Token": await self._token(), "X-Vault-Request": "true"}
        if self._settings.namespace:
            headers["X-Vault-Namespace"] = self._settings.namespace
        answer = await self._remote.ask(method, path, headers, as_body(words) if words is not None else b"")
        if answer.status in _LATER:
            raise TransientError(f"{self._remote.name} answers {answer.status}: this node cannot serve us now")
        return answer

    async def _token(self) -> str:
        if self._settings.token_file:
            return await read_token("CASESTREAM_VAULT__TOKEN_FILE", self._settings.token_file)
        if self._settings.token is None:
            raise ConfigurationError(["CASESTREAM_VAULT__TOKEN_FILE is not set: an agent keeps a token fresh in it"])
        return self._settings.token.get_secret_value()


def _results(answer: Answer, count: int) -> list[dict[str, Any]] | None:
    """One for each input, in order; None when the answer has none."""
    data, errors = answer.content.get("data"), answer.content.get("errors")
    results = data.get("batch_results") if isinstance(data, dict) else None
    if results is None and answer.status == 400 and count == 1 and isinstance(errors, list) and len(errors) == 1:
        results = [{"error": errors[0]}]
    fits = isinstance(results, list) and len(results) == count and all(isinstance(result, dict) for result in results)
    return results if fits else None


def _bound(binding: Binding) -> dict[str, str]:
    return {"associated_data": to_base64(binding.canonical())}


def _batched(inputs: Sequence[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    ahead = iter(inputs)
    while batch := list(islice(ahead, BATCH)):
        yield batch


@asynccontextmanager
async def open_vault_transit(settings: Settings) -> AsyncIterator[KeyEncryption]:
    """The provider `vault`. Raises ConfigurationError, TransientError."""
    given = settings.vault
    lacking = [name for name in ("address", "key") if not getattr(given, name)]
    if lacking:
        raise ConfigurationError([f"CASESTREAM_VAULT__{name.upper()} is not set" for name in lacking])
    async with connect("Vault", "CASESTREAM_VAULT__ADDRESS", given.address) as remote:
        provider = VaultTransit(remote, given)
        await provider.look()
        yield provider
