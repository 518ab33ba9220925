"""Mail relays on the loopback: aiosmtpd, which keeps what it took and answers as a test wants."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

LOGIN, PASSWORD = "crm", "canary-7f3a"


@dataclass
class Relay:
    """What it took, and what it answers: to a recipient by his address, to the contents in turn."""

    port: int = 0
    sender_says: str = ""
    recipients_say: dict[str, str] = field(default_factory=dict)
    contents_say: list[str] = field(default_factory=list)
    before_contents: Callable[[], Awaitable[None]] | None = None
    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    contents_seen: int = 0
    logins: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        envelope.mail_from = address
        return self.sender_says or "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        said = self.recipients_say.get(address, "250 OK")
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.contents_seen += 1
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        if self.before_contents:
            await self.before_contents()
        said = self.contents_say.pop(0) if self.contents_say else "250 OK"
        if said.startswith("250"):
            self.taken.append((list(envelope.rcpt_tos), _read(envelope.content)))
        return said

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append(given.login)
        good = (given.login, given.password) == (LOGIN.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)


def _read(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


@asynccontextmanager
async def relay(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False
) -> AsyncIterator[Relay]:
    """A relay on a free port until the block ends."""
    found, loop = Relay(), asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            found,
            hostname="relay.test",
            loop=loop,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=login,
            auth_require_tls=False,
            authenticator=found.authenticate if login else None,
        )

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
