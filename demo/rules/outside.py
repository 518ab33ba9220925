"""The world outside, on loopback and in a bad mood: a mail relay and a webhook receiver that answer badly now and then.

Which call meets which fault follows from its id, and only its first attempt meets one, so that every call can succeed. Mails
are taken by aiosmtpd and signatures checked by standardwebhooks: what is received was judged by code that is not ours. Both
are development dependencies, which `make demo` installs.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from importlib.util import find_spec
from typing import Any
from zlib import crc32

from demo.processes import free_port

SLOW_SECONDS = 1.5
# The system waits no longer than this for an answer; its own defaults would make the demo long.
PATIENCE_SECONDS = 3
# Of a hundred first attempts so many meet each fault.
HOOK_FAULTS = {"answered 500": 12, "never answered": 3, "answered slowly": 12}
MAIL_FAULTS = {"answered 451": 8, "taken, but never answered": 3, "answered slowly": 8}


def lacking() -> list[str]:
    """The packages of the outside that are not installed here, as in an image without development dependencies."""
    return [name for name in ("aiosmtpd", "standardwebhooks") if find_spec(name) is None]


@dataclass
class Heard:
    """What came, by id: how often, and what the first time told. `faults`: how the outside behaved."""

    times: Counter[str] = field(default_factory=Counter)
    first: dict[str, Any] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    unsigned: int = 0

    @property
    def repeated(self) -> int:
        return self.times.total() - len(self.times)

    def note(self, id_: str, told: Any) -> None:
        """One arrival."""
        self.times[id_] += 1
        self.first[id_] = self.first.get(id_) or told


@dataclass
class Outside:
    """Both servers. `slow`: set when an answer begins to be slow. `secret`: what webhooks are signed with."""

    mail_port: int
    hook_port: int
    mails: Heard = field(default_factory=Heard)
    hooks: Heard = field(default_factory=Heard)
    slow: asyncio.Event = field(default_factory=asyncio.Event)
    secret: str = ""

    @classmethod
    def on_free_ports(cls) -> "Outside":
        """Ports for servers that are opened later: the processes are told of them when they start."""
        return cls(free_port(), free_port())

    def environment(self, *others: str) -> dict[str, str]:
        """What makes the processes call these servers, and others on loopback.

        Loopback is denied to calls of ours unless it is listed so; production refuses such a list.
        """
        return {
            "CASESTREAM_SMTP__HOST": "127.0.0.1",
            "CASESTREAM_SMTP__PORT": str(self.mail_port),
            "CASESTREAM_SMTP__SECURITY": "none",
            "CASESTREAM_SMTP__SENDER": "rules@demo.example",
            "CASESTREAM_SMTP__DOMAIN": "demo.example",
            "CASESTREAM_SMTP__TIMEOUT_SECONDS": str(PATIENCE_SECONDS),
            "CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS": json.dumps([f"127.0.0.1:{self.hook_port}", *others]),
            "CASESTREAM_OUTBOUND__CONNECT_SECONDS": str(PATIENCE_SECONDS),
            "CASESTREAM_OUTBOUND__TOTAL_SECONDS": str(PATIENCE_SECONDS),
        }

    @property
    def hook_url(self) -> str:
        return f"http://127.0.0.1:{self.hook_port}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Both servers listen until the block ends."""
        from aiosmtpd.smtp import SMTP

        loop, serving = asyncio.get_running_loop(), set[asyncio.Task[Any]]()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            serving.add(task)
            try:
                await self._hook(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                serving.discard(task)
                writer.close()

        mail = await loop.create_server(lambda: SMTP(self, hostname="demo.example", loop=loop), "127.0.0.1", self.mail_port)
        hooks = await asyncio.start_server(serve, "127.0.0.1", self.hook_port)
        try:
            yield
        finally:
            mail.close()
            hooks.close()
            for task in list(serving):
                task.cancel()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """A whole mail came: aiosmtpd asks for the answer."""
        message = message_from_bytes(envelope.content, policy=policy.default)
        id_ = str(message["Message-ID"])
        fault = self.fault(id_, self.mails, MAIL_FAULTS)
        if fault == "answered 451":
            return "451 not now"
        self.mails.note(id_, str(message["Subject"]))
        await self._drag(fault)
        return "250 taken"

    async def _hook(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        id_ = headers.get("webhook-id", "")
        fault = self.fault(id_, self.hooks, HOOK_FAULTS)
        self.hooks.unsigned += not self._is_signed(headers, body)
        self.hooks.note(id_, (head[0].split(" ")[1], json.loads(body)))
        await self._drag(fault)
        status = "500 Bad Day" if fault == "answered 500" else "204 Taken"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        from standardwebhooks import Webhook, WebhookVerificationError

        try:
            Webhook(self.secret).verify(body, dict(headers))
        except WebhookVerificationError:
            return False
        return True

    def fault(self, id_: str, heard: Heard, faults: Mapping[str, int]) -> str:
        """What a first attempt meets; '' for nothing. A refused first mail counts too."""
        if heard.times[id_] or id_ in heard.first:
            return ""
        heard.first[id_] = None
        place = crc32(id_.encode()) % 100
        for fault, share in faults.items():
            if place < share:
                heard.faults[fault] += 1
                return fault
            place -= share
        return ""

    async def _drag(self, fault: str) -> None:
        if "never" in fault:
            await asyncio.sleep(PATIENCE_SECONDS * 3)
        elif "slowly" in fault:
            self.slow.set()
            await asyncio.sleep(SLOW_SECONDS)
