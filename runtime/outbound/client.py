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

import h11

from runtime.outbound.dialing import Dial, Resolve, SystemResolver, Tls, connect, dial_tcp
from runtime.outbound.targets import Denied, Policy, Target, judge_address, read_target
from runtime.settings import OutboundSettings
from schemas.errors import ConfigurationError

_LONGEST_HEAD = 100 * 1024
_READ_BYTES = 64 * 1024


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
        tls.set_alpn_protocols(["http/1.1"])

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
    ) -> Answered | Failed:
        tls = Tls(self._tls, target.host) if target.secure else None
        try:
            reader, writer = await connect(self._dial, addresses, target.port, tls, self._limits.connect_seconds)
        except TimeoutError:
            return Failed("timeout")
        except OSError as error:
            return Failed("tls" if isinstance(error, ssl.SSLError) else "connect")
        framing = [("Host", target.authority), ("Content-Length", str(len(body))), ("Connection", "close")]
        sent = [(name.encode(), value.encode()) for name, value in (*framing, *headers)]
        try:
            request = h11.Request(method=method, target=target.path, headers=sent)
            return await _exchange(reader, writer, request, body, self._limits.answer_bytes)
        except h11.ProtocolError:
            return Failed("protocol")
        except OSError as error:
            return Failed("timeout" if isinstance(error, TimeoutError) else "network")
        finally:
            # The answer is all that was wanted: no farewell, for which the other side would have to be waited for.
            writer.transport.abort()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes, most: int
) -> Answered:
    """Say all of it at once, and read what is answered, no more than `most` bytes."""
    talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
    parts = (talk.send(request), talk.send(h11.Data(data=body)), talk.send(h11.EndOfMessage()))
    writer.write(b"".join(part for part in parts if part))
    await writer.drain()
    head: h11.Response | None = None
    kept = bytearray()
    while True:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            kept += event.data[: most + 1 - len(kept)]
        if head is not None and (len(kept) > most or isinstance(event, h11.EndOfMessage)):
            said = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            return Answered(head.status_code, said, bytes(kept[:most]), cut=len(kept) > most)


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
