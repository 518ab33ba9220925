"""From a name to addresses, asked once; from addresses to a connection that goes to one of them and nowhere else."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

Resolve = Callable[[str], Awaitable[Sequence[str]]]
Dial = Callable[[str, int, float], Awaitable[httpcore.AsyncNetworkStream]]

_RESOLVERS = 16
_MOST_TRIED = 4


class SystemResolver:
    """The system's resolver on threads of its own: name servers that hang hold up nobody but other resolutions."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVERS, "outbound-names")

    async def __call__(self, host: str) -> Sequence[str]:
        """The name's addresses. Raises OSError."""
        # The dot ends the name: without it the machine's search list would be tried, which is the inside.
        whole = f"{host}." if "." in host else host
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, lambda: socket.getaddrinfo(whole, None, type=socket.SOCK_STREAM))
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


async def dial_tcp(address: str, port: int, timeout: float) -> httpcore.AsyncNetworkStream:  # noqa: ASYNC109 - httpcore's own
    """A connection to an address, never a name. Raises httpcore's errors."""
    return await httpcore.AnyIOBackend().connect_tcp(address, port, timeout=timeout)


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the checked addresses, whatever host it is asked for. The host stays what TLS and the request say."""

    def __init__(self, addresses: Sequence[str], dial: Dial, seconds: float) -> None:
        self._addresses, self._dial, self._seconds = addresses, dial, seconds

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The first address that answers, all within the one limit, of which each gets its share of what is left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        failure: Exception = httpcore.ConnectError("no address")
        addresses = self._addresses[:_MOST_TRIED]
        for place, address in enumerate(addresses):
            left = max(deadline - loop.time(), 0.001)
            try:
                return await self._dial(address, port, left / (len(addresses) - place))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("a call to the outside has no socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
