"""One call to an address that a tenant wrote.

    1. read the address strictly                                   denied: nobody is called
    2. resolve its name, once                                      a literal needs none
    3. check every address of the answer; one bad one denies all   denied: nobody is called
    4. connect to one of those very addresses; TLS and Host keep the name
    5. ask, and take at most so many bytes of the answer
    6. close

Steps 2 to 6 end after `total_seconds`, however slowly the other side drips. A connection is made for each call: one that is
kept can be closed by the other side at the moment of the next request, and nobody could tell that failure from a real one.
"""

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import httpcore

from runtime.outbound.dialing import Dial, PinnedBackend, Resolve, SystemResolver, dial_tcp
from runtime.outbound.targets import Denied, Policy, Target, judge_address, read_target
from runtime.settings import OutboundSettings
from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to connect, seconds for everything, and bytes of an answer that are taken."""

    connect_seconds: float = 5.0
    total_seconds: float = 10.0
    answer_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answered:
    """What the other side said. `headers` by lower-case name; `cut`: the answer was longer than we take."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """No whole answer came; whether the request arrived is unknown. `reason` is a code."""

    reason: str


class Outbound:
    """Makes calls under one policy. Many at once; holds nothing between them."""

    def __init__(self, policy: Policy, limits: Limits, tls: ssl.SSLContext, *, resolve: Resolve, dial: Dial = dial_tcp) -> None:
        self._policy, self._limits, self._tls = policy, limits, tls
        self._resolve, self._dial = resolve, dial

    async def call(
        self, method: str, url: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Answered | Denied | Failed:
        """Ask once. The caller's headers are ASCII without line ends, and none of Host and the framing of the message."""
        target = read_target(url, self._policy)
        if isinstance(target, Denied):
            return target
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                addresses = await self._addresses(target)
                if isinstance(addresses, Denied | Failed):
                    return addresses
                return await self._ask(target, addresses, method, headers, body)
        except TimeoutError:
            return Failed("timeout")
        except httpcore.TimeoutException:
            return Failed("timeout")
        except httpcore.ConnectError as error:
            return Failed("tls" if _is_tls(error) else "connect")
        except httpcore.NetworkError:
            return Failed("network")
        except httpcore.ProtocolError:
            return Failed("protocol")

    async def _addresses(self, target: Target) -> list[str] | Denied | Failed:
        if target.address is not None:
            return [str(target.address)]
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                found = [ip_address(text) for text in await self._resolve(target.host)]
        except (OSError, UnicodeError, ValueError):
            # TimeoutError is an OSError.
            return Failed("name")
        reasons = [reason for reason in (judge_address(target, address) for address in found) if reason]
        if reasons:
            return Denied(reasons[0])
        return [str(address) for address in found] if found else Failed("name")

    async def _ask(
        self, target: Target, addresses: Sequence[str], method: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Answered:
        limits = self._limits
        origin = httpcore.Origin(b"https" if target.secure else b"http", target.host.encode(), target.port)
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target.path.encode())
        framing = [("Host", target.authority), ("Content-Length", str(len(body))), ("Connection", "close")]
        sent = [(name.encode(), value.encode()) for name, value in (*framing, *headers)]
        times = {"connect": limits.connect_seconds, "read": limits.total_seconds, "write": limits.total_seconds}
        request = httpcore.Request(method.encode(), url, headers=sent, content=body, extensions={"timeout": times})
        backend = PinnedBackend(addresses, self._dial, limits.connect_seconds)
        async with httpcore.AsyncHTTPConnection(origin, self._tls, network_backend=backend) as connection:
            response = await connection.handle_async_request(request)
            return await self._take(response)

    async def _take(self, response: httpcore.Response) -> Answered:
        said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        kept, most = bytearray(), self._limits.answer_bytes
        async for part in response.aiter_stream():
            kept += part[: most + 1 - len(kept)]
            if len(kept) > most:
                return Answered(response.status, said, bytes(kept[:most]), cut=True)
        return Answered(response.status, said, bytes(kept))


def _is_tls(error: BaseException) -> bool:
    return isinstance(error.__cause__, ssl.SSLError)


def trusting(ca_file: Path | None, setting: str) -> ssl.SSLContext:
    """TLS that verifies certificate and name, by the system's authorities or those of the file alone.

    Raises ConfigurationError, with the setting that names the file.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        cure = "expected a readable file of certificates (PEM)"
        raise ConfigurationError([f"{setting}={ca_file}: {type(error).__name__}; {cure}"]) from None


@contextmanager
def open_outbound(settings: OutboundSettings) -> Iterator[Outbound]:
    """The outside as the settings allow it. Raises ConfigurationError: the file of authorities cannot be read."""
    policy = Policy(frozenset(settings.ports), frozenset(map(_host_and_port, settings.development_targets)))
    limits = Limits(settings.connect_seconds, settings.total_seconds, settings.answer_bytes)
    tls = trusting(settings.ca_file, "CASESTREAM_OUTBOUND__CA_FILE")
    resolver = SystemResolver()
    try:
        yield Outbound(policy, limits, tls, resolve=resolver)
    finally:
        resolver.close()


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
