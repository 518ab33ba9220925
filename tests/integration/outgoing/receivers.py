"""Receivers on the loopback: they count who came and answer as a test wants, badly too. Raw sockets mend nothing."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answering = Callable[["Visit", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Visit:
    """One request as it arrived."""

    head: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        lines = [line.split(": ", 1) for line in self.head.split("\r\n")[1:] if ": " in line]
        return {name.lower(): value for name, value in lines}


@dataclass
class Receiver:
    """A server and its visitors. `connections` counts sockets, whatever came over them."""

    port: int = 0
    connections: int = 0
    visits: list[Visit] = field(default_factory=list)


def reply(status: int, *headers: str, body: bytes = b"") -> Answering:
    """Answers with this."""

    async def answer(_: Visit, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return answer


def in_turn(*answers: Answering) -> Answering:
    """The first for the first visit, and so on; the last for all others."""
    left = list(answers)

    async def answer(visit: Visit, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(visit, writer)

    return answer


@asynccontextmanager
async def receiver(answer: Answering, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port until the block ends."""
    found = Receiver()
    open_now: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        open_now.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            visit = Visit(head, b"")
            visit.body = await reader.readexactly(int(visit.headers.get("content-length", "0")))
            found.visits.append(visit)
            await answer(visit, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            open_now.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for writer in list(open_now):
            writer.transport.abort()
