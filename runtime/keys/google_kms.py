"""The provider `google-kms`: encrypt and decrypt of Google Cloud KMS, the binding as additional authenticated data.

Both ways carry CRC32C checksums, so a data key that was changed on the way is never stored and never used. The service account
needs cloudkms.cryptoKeyVersions.useToEncrypt and useToDecrypt, cryptoKeys.get and cryptoKeyVersions.get. A rotation makes a new
primary version: `casestream keys rewrap` brings every data key to it, and then the old version may be destroyed.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import httpx

from runtime.keys.crc32c import crc32c
from runtime.keys.providers import Binding, KeyEncryption, Wrapped
from runtime.keys.remote import TIMEOUT_SECONDS, Answer, Remote, as_body, connect, from_base64, read_token, to_base64, together
from runtime.settings import Settings
from runtime.settings.key_providers import GoogleKmsSettings
from schemas.errors import ConfigurationError, TransientError

_VERSION = re.compile(r"(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+)/cryptoKeyVersions/\d+")
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - an address, no token
_BEFORE_THE_END = 60.0
_CURE = "look at the key's state and at the service account's role"


class AccessToken:
    """The bearer token: of a file that somebody keeps fresh, or of the machine's service account until it ends."""

    def __init__(self, settings: GoogleKmsSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._kept: tuple[str, float] | None = None
        self._asking = asyncio.Lock()

    async def current(self) -> str:
        if self._settings.token_file:
            return await read_token("CASESTREAM_GOOGLE_KMS__TOKEN_FILE", self._settings.token_file)
        async with self._asking:
            if self._kept is None or self._clock() >= self._kept[1] - _BEFORE_THE_END:
                self._kept = await self._ask()
            return self._kept[0]

    async def _ask(self) -> tuple[str, float]:
        url = self._settings.metadata_url.rstrip("/") + _TOKEN_PATH
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
                response = await client.get(url, headers={"Metadata-Flavor": "Google"})
                response.raise_for_status()
                content = response.json()
            return str(content["access_token"]), self._clock() + float(content["expires_in"])
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            raise TransientError(f"the metadata server gives no access token ({type(error).__name__})") from None


class GoogleKms:
    """One key; opens what any version of any key wrapped that we may use."""

    def __init__(self, remote: Remote, key: str, token: AccessToken) -> None:
        self._remote, self._key, self._token = remote, key, token
        self._version = ""

    @property
    def kek_id(self) -> str:
        return self._version

    async def look(self) -> None:
        """Find the primary version. Raises ConfigurationError when there is none that can encrypt."""
        answer = await self._call("GET", f"/v1/{self._key}")
        primary = answer.content.get("primary")
        if not answer.good:
            self._refuse("describe the key", answer)
        if not isinstance(primary, dict) or primary.get("state") != "ENABLED":
            raise ConfigurationError(["CASESTREAM_GOOGLE_KMS__KEY: its primary version is not enabled"])
        self._version = str(primary.get("name"))

    async def wrap(self, secrets: Sequence[tuple[bytes, Binding]]) -> list[Wrapped]:
        wrapped = await together(self._wrap(secret, binding) for secret, binding in secrets)
        if wrapped:
            # Somebody may have rotated the key since we looked.
            self._version = wrapped[-1].kek_id
        return wrapped

    async def unwrap(self, wrapped: Sequence[tuple[Wrapped, Binding]]) -> list[bytes | None]:
        return await together(self._unwrap(one, binding) for one, binding in wrapped)

    async def missing(self, kek_ids: Sequence[str]) -> list[str]:
        found = await together(self._is_missing(kek_id) for kek_id in kek_ids)
        return [kek_id for kek_id, missing in zip(kek_ids, found, strict=True) if missing]

    async def _wrap(self, secret: bytes, binding: Binding) -> Wrapped:
        words = {**_checked("plaintext", secret), **_checked("additionalAuthenticatedData", binding.canonical())}
        answer = await self._call("POST", f"/v1/{self._key}:encrypt", words)
        if not answer.good:
            self._refuse("encrypt", answer)
        blob, name = from_base64(answer.content.get("ciphertext")), answer.content.get("name")
        arrived = answer.content.get("verifiedPlaintextCrc32c") is True
        if not (blob and arrived and _matches(answer, "ciphertextCrc32c", blob) and _VERSION.fullmatch(str(name))):
            raise self._remote.garbled("encrypt")
        return Wrapped(str(name), blob)

    async def _unwrap(self, wrapped: Wrapped, binding: Binding) -> bytes | None:
        found = _VERSION.fullmatch(wrapped.kek_id)
        if found is None:
            raise ConfigurationError(["a data key was wrapped by another provider than google-kms: give that one back"])
        words = {**_checked("ciphertext", wrapped.blob), **_checked("additionalAuthenticatedData", binding.canonical())}
        answer = await self._call("POST", f"/v1/{found[1]}:decrypt", words)
        if not answer.good and _code(answer) == "INVALID_ARGUMENT":
            return None
        if not answer.good:
            self._refuse("decrypt", answer)
        # Google leaves out what is empty, and no data key is.
        secret = from_base64(answer.content.get("plaintext"))
        if secret is None or not _matches(answer, "plaintextCrc32c", secret):
            raise self._remote.garbled("decrypt")
        return secret

    async def _is_missing(self, kek_id: str) -> bool:
        if not _VERSION.fullmatch(kek_id):
            return True
        answer = await self._call("GET", f"/v1/{kek_id}")
        if not answer.good and _code(answer) != "NOT_FOUND":
            self._refuse("describe a version of a key", answer)
        return answer.content.get("state") != "ENABLED"

    async def _call(self, method: str, path: str, words: dict[str, Any] | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {await self._token.current()}", "Content-Type": "application/json"}
        return await self._remote.ask(method, path, headers, as_body(words) if words is not None else b"")

    def _refuse(self, what: str, answer: Answer) -> NoReturn:
        self._remote.refuse(what, answer, _code(answer), _CURE)


def _checked(word: str, raw: bytes) -> dict[str, str]:
    """A field and its checksum, as the API takes them: 64-bit integers are text."""
    return {word: to_base64(raw), f"{word}Crc32c": str(crc32c(raw))}


def _matches(answer: Answer, word: str, raw: bytes) -> bool:
    return str(answer.content.get(word)) == str(crc32c(raw))


def _code(answer: Answer) -> str:
    error = answer.content.get("error")
    return str(error.get("status", "")) if isinstance(error, dict) else ""


@asynccontextmanager
async def open_google_kms(settings: Settings) -> AsyncIterator[KeyEncryption]:
    """The provider `google-kms`. Raises ConfigurationError, TransientError."""
    given = settings.google_kms
    if not given.key:
        raise ConfigurationError(["CASESTREAM_GOOGLE_KMS__KEY is not set"])
    async with connect("Google Cloud KMS", "CASESTREAM_GOOGLE_KMS__ENDPOINT", given.endpoint) as remote:
        provider = GoogleKms(remote, given.key, AccessToken(given))
        await provider.look()
        yield provider
