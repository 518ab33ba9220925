"""From a name to addresses, asked once; from addresses to a connection that goes to one of them and nowhere else."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tls:
    """How the other side must prove itself, and under which name, whatever address it has."""

    context: ssl.SSLContext
    name: str


Resolve = Callable[[str], Awaitable[Sequence[str]]]
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# Address, port, seconds.
Dial = Callable[[str, int, float, Tls | None], Awaitable[Line]]

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


async def dial_tcp(address: str, port: int, timeout: float, tls: Tls | None) -> Line:  # noqa: ASYNC109 - each dial has its share
    """A connection to an address, never a name. Raises OSError, ssl.SSLError and TimeoutError among them."""
    async with asyncio.timeout(timeout):
        if tls is None:
            return await asyncio.open_connection(address, port)
        return await asyncio.open_connection(address, port, ssl=tls.context, server_hostname=tls.name)


async def connect(dial: Dial, addresses: Sequence[str], port: int, tls: Tls | None, seconds: float) -> Line:
    """The first of these addresses that answers, all within the one limit, of which each gets its share of what is left.

    Raises the last one's OSError, and ssl.SSLError at once: who answers as somebody else is the answer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    failure: OSError = ConnectionError("no address")
    tried = addresses[:_MOST_TRIED]
    for place, address in enumerate(tried):
        left = max(deadline - loop.time(), 0.001)
        try:
            return await dial(address, port, left / (len(tried) - place), tls)
        except ssl.SSLError:
            raise
        except OSError as error:
            failure = error
    raise failure
