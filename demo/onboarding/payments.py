"""The payments service of the loan flow, on loopback: signed calls, half of them answered later by a callback.

A first attempt may be answered 500, or paid and never answered. Signatures are checked by standardwebhooks.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.onboarding.handlers import fault_of, note
from demo.processes import free_port

PATH = "/payouts"
FAULTS = {"answered 500": 10, "never answered": 5}
_PATIENCE_SECONDS = 30


@dataclass
class Payments:
    """The server. `book`: where it notes its calls; `secret` signs them; `call_back(path, body)` answers later."""

    port: int
    book: Path
    secret: str = ""
    unsigned: int = 0
    later: int = 0
    asked: set[str] = field(default_factory=set)
    call_back: Callable[[str, dict[str, Any]], Awaitable[None]] | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @classmethod
    def on_free_port(cls, book: Path) -> "Payments":
        """A port for a server that is opened later: the processes are told of it when they start."""
        return cls(free_port(), book)

    @property
    def address(self) -> str:
        """Where calls go; without a scheme."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}{PATH}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """It listens until the block ends, and has called back by then."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._answer(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.unsigned += not self._is_signed(headers, body)
        asked = json.loads(body)
        id_ = headers.get("webhook-id", "")
        fault = fault_of(id_, FAULTS) if id_ not in self.asked else ""
        self.asked.add(id_)
        if fault == "answered 500":
            await _say(writer, "500 Bad Day")
            return
        note(self.book, asked["instanceId"], asked["handler"], id_)
        if fault == "never answered":
            await asyncio.sleep(_PATIENCE_SECONDS)
        elif len(self.asked) % 2:
            self._answer_later(asked)
            await _say(writer, "202 Later")
        else:
            await _say(writer, "200 Paid", json.dumps({"data": {"receipt": id_}}))

    def _answer_later(self, asked: Mapping[str, Any]) -> None:
        assert self.call_back is not None
        self.later += 1
        task = asyncio.ensure_future(self.call_back(asked["callback"], {"data": {"receipt": asked["idempotencyId"]}}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        from standardwebhooks import Webhook, WebhookVerificationError

        try:
            Webhook(self.secret).verify(body, dict(headers))
        except WebhookVerificationError:
            return False
        return True


async def _say(writer: asyncio.StreamWriter, status: str, body: str = "") -> None:
    writer.write(f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
    await writer.drain()
