"""The provider `aws-kms`: Encrypt and Decrypt of AWS KMS, the binding as encryption context.

The context of each call is in CloudTrail in the clear: tenant, subject and key id, which are ids and no names. The role needs
kms:Encrypt, kms:Decrypt and kms:DescribeKey on its keys and no others. A key's automatic rotation keeps its ARN, so it asks
for no `keys rewrap`; another key does.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from runtime.keys.aws_credentials import CredentialsSource, credentials_source
from runtime.keys.aws_signature import Request, signed_headers
from runtime.keys.providers import Binding, KeyEncryption, Wrapped
from runtime.keys.remote import Answer, Remote, as_body, connect, from_base64, to_base64, together
from runtime.settings import Settings
from schemas.errors import ConfigurationError, TransientError

# The ciphertext is damaged, or belongs to another place or key.
_DOES_NOT_OPEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_LATER = frozenset(
    """
    ThrottlingException DependencyTimeoutException KMSInternalException KeyUnavailableException ServiceUnavailableException
    RequestLimitExceeded LimitExceededException RequestExpired ExpiredTokenException
    """.split()
)
_CURE = "look at the key's state and policy, and at our credentials"


class AwsKms:
    """One key of AWS KMS; opens what any key of the region wrapped that we may use."""

    def __init__(
        self, remote: Remote, host: str, region: str, credentials: CredentialsSource, now: Callable[[], datetime]
    ) -> None:
        self._remote, self._host, self._region = remote, host, region
        self._credentials, self._now = credentials, now
        self._arn = ""

    @property
    def kek_id(self) -> str:
        return self._arn

    async def use(self, key: str) -> None:
        """Wrap with this key from now on. Raises ConfigurationError for one that cannot."""
        answer = await self._call("DescribeKey", {"KeyId": key})
        found = answer.content.get("KeyMetadata")
        if not answer.good or not isinstance(found, dict):
            self._refuse("describe the key", answer)
        if found.get("KeyState") != "Enabled" or found.get("KeyUsage") != "ENCRYPT_DECRYPT":
            raise ConfigurationError(["CASESTREAM_AWS_KMS__KEY: the key is not enabled for encryption"])
        self._arn = str(found["Arn"])

    async def wrap(self, secrets: Sequence[tuple[bytes, Binding]]) -> list[Wrapped]:
        return await together(self._wrap(secret, binding) for secret, binding in secrets)

    async def unwrap(self, wrapped: Sequence[tuple[Wrapped, Binding]]) -> list[bytes | None]:
        return await together(self._unwrap(one, binding) for one, binding in wrapped)

    async def missing(self, kek_ids: Sequence[str]) -> list[str]:
        found = await together(self._is_missing(kek_id) for kek_id in kek_ids)
        return [kek_id for kek_id, missing in zip(kek_ids, found, strict=True) if missing]

    async def _wrap(self, secret: bytes, binding: Binding) -> Wrapped:
        words = {"KeyId": self._arn, "Plaintext": to_base64(secret), "EncryptionContext": binding.pairs()}
        answer = await self._call("Encrypt", words)
        if not answer.good:
            self._refuse("encrypt", answer)
        blob = from_base64(answer.content.get("CiphertextBlob"))
        if not blob:
            raise self._remote.garbled("encrypt")
        return Wrapped(str(answer.content.get("KeyId", self._arn)), blob)

    async def _unwrap(self, wrapped: Wrapped, binding: Binding) -> bytes | None:
        words = {"KeyId": wrapped.kek_id, "CiphertextBlob": to_base64(wrapped.blob), "EncryptionContext": binding.pairs()}
        answer = await self._call("Decrypt", words)
        if not answer.good and _code(answer) in _DOES_NOT_OPEN:
            return None
        if not answer.good:
            self._refuse("decrypt", answer)
        secret = from_base64(answer.content.get("Plaintext"))
        if secret is None:
            raise self._remote.garbled("decrypt")
        return secret

    async def _is_missing(self, kek_id: str) -> bool:
        answer = await self._call("DescribeKey", {"KeyId": kek_id})
        if not answer.good:
            if _code(answer) in ("NotFoundException", "InvalidArnException"):
                return True
            self._refuse("describe a key", answer)
        found = answer.content.get("KeyMetadata")
        if not isinstance(found, dict):
            raise self._remote.garbled("describe a key")
        return found.get("KeyState") != "Enabled"

    async def _call(self, action: str, words: dict[str, Any]) -> Answer:
        body = as_body(words)
        headers = {
            "Host": self._host,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{action}",
        }
        request = Request("POST", "/", "", headers, body)
        who = await self._credentials.current()
        signed = signed_headers(request, who, region=self._region, service="kms", at=self._now())
        answer = await self._remote.ask("POST", "/", signed, body)
        if not answer.good and _code(answer) in _LATER:
            raise TransientError(f"{self._remote.name} answers {_code(answer)}: the same attempt may succeed later")
        return answer

    def _refuse(self, what: str, answer: Answer) -> NoReturn:
        self._remote.refuse(what, answer, _code(answer), _CURE)


def _code(answer: Answer) -> str:
    """`InvalidCiphertextException`; the service may put its name and a # before it."""
    return str(answer.content.get("__type", "")).rsplit("#", 1)[-1]


@asynccontextmanager
async def open_aws_kms(settings: Settings) -> AsyncIterator[KeyEncryption]:
    """The provider `aws-kms`. Raises ConfigurationError, TransientError."""
    given = settings.aws_kms
    lacking = [name for name in ("key", "region") if not getattr(given, name)]
    if lacking:
        raise ConfigurationError([f"CASESTREAM_AWS_KMS__{name.upper()} is not set" for name in lacking])
    address = given.endpoint or f"https://kms.{given.region}.amazonaws.com"
    async with connect("AWS KMS", "CASESTREAM_AWS_KMS__ENDPOINT", address) as remote:
        source = credentials_source(given, _now)
        provider = AwsKms(remote, urlsplit(address).netloc, given.region, source, _now)
        await provider.use(given.key)
        yield provider


def _now() -> datetime:
    return datetime.now(UTC)
