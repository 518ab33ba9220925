"""A light load generator: N keep-alive connections, each sending its next request when the last one was answered.

Raw sockets on uvloop, because on a machine of two cores a full HTTP client would be measured instead of the server.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

import uvloop


class Connection(asyncio.Protocol):
    """Sends the requests of one list round and round until the deadline, and notes each answer's time."""

    def __init__(self, requests: Sequence[bytes], begin: float, deadline: float) -> None:
        self._requests, self._begin, self._deadline = requests, begin, deadline
        self._next, self._sent_at, self._buffer = 0, 0.0, b""
        self.seconds: list[float] = []
        self.answered = 0
        self.failures: list[str] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        start = head.index(b"content-length:") + 15
        length = int(head[start : (head + b"\r").index(b"\r", start)])
        if len(self._buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self.answered += 1
        if not head.startswith(b"http/1.1 200"):
            self.failures.append(self._buffer.decode())
        elif self._sent_at >= self._begin:
            self.seconds.append(now - self._sent_at)
        self._buffer = b""
        if now < self._deadline and len(self.failures) < 5:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._sent_at = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]


async def load(port: int, lists: Sequence[Sequence[bytes]], warm: float, seconds: float) -> dict[str, object]:
    """One run: answers per second after the warm-up, latencies in ms, and what failed."""
    begin = time.perf_counter() + warm
    connections: list[Connection] = []
    for requests in lists:
        _, made = await asyncio.get_running_loop().create_connection(
            lambda requests=requests: Connection(requests, begin, begin + seconds),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        connections.append(made)
    await asyncio.gather(*(connection.done for connection in connections))
    took = sorted(second * 1000 for connection in connections for second in connection.seconds)
    failures = [text for connection in connections for text in connection.failures]
    return {
        "per_second": len(took) / seconds,
        "p50_ms": took[len(took) // 2] if took else None,
        "p99_ms": took[int(len(took) * 0.99)] if took else None,
        "failures": failures[:3],
        "failed": len(failures),
        "answered": sum(connection.answered for connection in connections),
    }


def main() -> None:
    """Reads one run's orders from stdin as JSON, writes its result to stdout."""
    orders = json.load(sys.stdin)
    lists = [[text.encode() for text in requests] for requests in orders["lists"]]
    result = uvloop.run(load(orders["port"], lists, orders["warm"], orders["seconds"]))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
