"""Key-encryption keys: the interface that every provider keeps, and the table of providers by setting.

A data key is wrapped once, by the provider's current key-encryption key, and bound to its place: tenant, subject and key id
are associated data of the wrapping, so that a wrapped key copied to another row opens nothing. Providers never see
snapshots, and never store anything here.
"""

import importlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from runtime.settings import Settings
from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Binding:
    """Whose data key it is: what the wrapping is bound to, in the form that a provider can carry."""

    tenant: str
    subject: str
    key_id: UUID

    def pairs(self) -> dict[str, str]:
        """Name-value pairs (an encryption context)."""
        return {"key_id": str(self.key_id), "subject": self.subject, "tenant": self.tenant}

    def canonical(self) -> bytes:
        """The pairs as one text: a JSON object, keys sorted, no blanks, UTF-8."""
        return json.dumps(self.pairs(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key under a key-encryption key, as `data_keys` stores it."""

    kek_id: str
    blob: bytes = field(repr=False)


class KeyEncryption(Protocol):
    """A provider of key-encryption keys. Batch first; a batch is at most a few thousand keys.

    Both calls raise TransientError when the provider is away or throttles, ConfigurationError when it refuses us
    (credentials, a key that is gone or disabled). A provider that takes one key per request makes a bounded number at once.
    """

    @property
    def kek_id(self) -> str:
        """The key-encryption key that `wrap` uses: what `rewrap` brings every data key to. Names the version, if it has any."""
        ...

    async def wrap(self, secrets: Sequence[tuple[bytes, Binding]]) -> list[Wrapped]:
        """Each 32-byte secret under the current key-encryption key, bound to its place."""
        ...

    async def unwrap(self, wrapped: Sequence[tuple[Wrapped, Binding]]) -> list[bytes | None]:
        """Each secret, or None where this one does not open: damaged, or wrapped for another place."""
        ...

    async def missing(self, kek_ids: Sequence[str]) -> list[str]:
        """Those of these key-encryption keys that can open nothing any more: unknown, disabled or destroyed."""
        ...


# One function per provider, each an async context manager over the settings that closes what it opened.
PROVIDERS: dict[str, str] = {
    "file": "runtime.keys.local_keks:open_file",
    "environment": "runtime.keys.local_keks:open_environment",
    "aws-kms": "runtime.keys.aws_kms:open_aws_kms",
    "google-kms": "runtime.keys.google_kms:open_google_kms",
    "vault": "runtime.keys.vault_transit:open_vault_transit",
}


@asynccontextmanager
async def open_provider(settings: Settings) -> AsyncIterator[KeyEncryption]:
    """The provider that CASESTREAM_KEYS__PROVIDER names. Raises ConfigurationError with every problem it finds."""
    module, _, attribute = PROVIDERS[settings.keys.provider].partition(":")
    opened: AbstractAsyncContextManager[KeyEncryption] = getattr(importlib.import_module(module), attribute)(settings)
    async with opened as provider:
        yield provider


def refuse_in_production(settings: Settings) -> None:
    """For providers whose keys lie on a disk or in an environment."""
    if settings.environment == "production":
        cure = "only for development; production needs one of aws-kms, google-kms, vault"
        raise ConfigurationError([f"CASESTREAM_KEYS__PROVIDER={settings.keys.provider}: {cure}"])
