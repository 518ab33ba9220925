"""Credentials for AWS: fixed ones, or those that a container's role gets over its local address and that end.

ECS and EKS Pod Identity give a task its role at AWS_CONTAINER_CREDENTIALS_FULL_URI; asked again before they end.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx

from runtime.keys.aws_signature import Credentials
from runtime.keys.remote import TIMEOUT_SECONDS, read_token
from runtime.settings.key_providers import AwsKmsSettings
from schemas.errors import ConfigurationError, TransientError

_BEFORE_THE_END = timedelta(minutes=5)
# The local addresses that AWS's own clients accept without TLS.
_LOCAL = ("http://127.0.0.1", "http://localhost", "http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]")


class CredentialsSource(Protocol):
    async def current(self) -> Credentials:
        """Credentials that hold for the next minutes. Raises TransientError, ConfigurationError."""
        ...


class FixedCredentials:
    """Those of the settings."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def current(self) -> Credentials:
        return self._credentials


class ContainerCredentials:
    """Those of the container's role."""

    def __init__(self, settings: AwsKmsSettings, now: Callable[[], datetime]) -> None:
        self._settings, self._now = settings, now
        self._kept: tuple[Credentials, datetime] | None = None
        self._asking = asyncio.Lock()

    async def current(self) -> Credentials:
        async with self._asking:
            if self._kept is None or self._now() >= self._kept[1] - _BEFORE_THE_END:
                self._kept = await self._ask()
            return self._kept[0]

    async def _ask(self) -> tuple[Credentials, datetime]:
        headers = {}
        if self._settings.credentials_token_file:
            setting = "CASESTREAM_AWS_KMS__CREDENTIALS_TOKEN_FILE"
            headers["Authorization"] = await read_token(setting, self._settings.credentials_token_file)
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
                response = await client.get(self._settings.credentials_url, headers=headers)
                response.raise_for_status()
                content = response.json()
            credentials = Credentials(content["AccessKeyId"], content["SecretAccessKey"], content["Token"])
            return credentials, datetime.fromisoformat(content["Expiration"]).astimezone(UTC)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise TransientError(f"the container's credentials for AWS cannot be read ({type(error).__name__})") from None


def credentials_source(settings: AwsKmsSettings, now: Callable[[], datetime]) -> CredentialsSource:
    """The source that the settings name. Raises ConfigurationError."""
    if settings.access_key_id and settings.secret_access_key:
        token = settings.session_token.get_secret_value() if settings.session_token else None
        return FixedCredentials(Credentials(settings.access_key_id, settings.secret_access_key.get_secret_value(), token))
    url = settings.credentials_url
    if not url:
        cure = "set it, or CASESTREAM_AWS_KMS__ACCESS_KEY_ID and CASESTREAM_AWS_KMS__SECRET_ACCESS_KEY"
        raise ConfigurationError([f"CASESTREAM_AWS_KMS__CREDENTIALS_URL is not set: {cure}"])
    if not url.startswith(("https://", *(f"{local}{end}" for local in _LOCAL for end in (":", "/")))):
        raise ConfigurationError(["CASESTREAM_AWS_KMS__CREDENTIALS_URL: expected https, or the container's local address"])
    return ContainerCredentials(settings, now)
