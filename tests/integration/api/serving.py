"""The real server process on a free port, for what only a socket can show."""

import asyncio
import resource
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from tests.unit.api.tokens import token


@dataclass
class Listening:
    """A running server of this process."""

    port: int

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """A request's first lines, with a token, without the empty line that ends them."""
        first = [f"{method} {path} HTTP/1.1", "host: localhost", f"authorization: Bearer {token()}", *lines]
        return "".join(f"{line}\r\n" for line in first).encode()

    async def raw(self, head: bytes, parts: Sequence[bytes]) -> bytes:
        """Send as fast as the server reads, stop when it answers; the answer's first bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answer = asyncio.create_task(reader.read(4096))
        writer.write(head)
        for part in parts:
            if answer.done():
                break
            writer.write(part)
            await writer.drain()
        first = await answer
        writer.close()
        return first

    @staticmethod
    def memory() -> int:
        """The most memory this process ever held, in bytes."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def asgi_client(app: FastAPI) -> httpx.AsyncClient:
    """A client that calls the application without a network; a bug is answered, not raised."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://door.test")
