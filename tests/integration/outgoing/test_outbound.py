"""Calls to the outside against real sockets: who is reached, what is verified, and when it ends."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.outbound import Answered, Denied, Failed, Limits, Outbound, Policy, open_outbound
from runtime.outbound.client import trusting
from runtime.outbound.dialing import Dial, Line, SystemResolver, Tls, dial_tcp
from runtime.settings import OutboundSettings
from schemas.errors import ConfigurationError
from tests.integration.outgoing.authority import make_authority
from tests.integration.outgoing.receivers import Receiver, Visit, receiver, reply
from tests.unit.outbound.hostile_urls import hostile_urls

PUBLIC = "93.184.216.34"


class Names:
    """A name server whose answers change: the first for the first question, the last for all others."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), list[str]()

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Lines:
    """Where connections were tried; none is made, since a test calls nobody outside."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.seconds: list[float] = []

    async def __call__(self, address: str, port: int, timeout: float, tls: Tls | None) -> Line:
        self.tried.append(address)
        self.seconds.append(timeout)
        raise ConnectionRefusedError(address)


def outbound(
    *here: Receiver,
    names: Names | None = None,
    dial: Dial = dial_tcp,
    limits: Limits | None = None,
    ports: Sequence[int] = (443,),
    ca_file: Path | None = None,
) -> Outbound:
    listed = {(host, one.port) for one in here for host in ("127.0.0.1", "localhost")}
    policy = Policy(frozenset(ports), frozenset(listed))
    return Outbound(policy, limits or Limits(), trusting(ca_file, "CA"), resolve=names or Names(["127.0.0.1"]), dial=dial)


@pytest.mark.requirement("trap-33")
async def test_no_hostile_address_reaches_the_inside() -> None:
    async with receiver(reply(200)) as inside:
        # Every port of the corpus is allowed and every name leads home: only the guard stands between.
        caller = outbound(names=Names(["127.0.0.1"]), ports=(443, 80, 22, 5432, 9092, inside.port))
        for url in hostile_urls(inside.port):
            assert isinstance(await caller.call("POST", url), Denied), url
        assert inside.connections == 0


async def test_the_counting_server_counts() -> None:
    async with receiver(reply(200)) as inside:
        answer = await outbound(inside).call("POST", f"http://127.0.0.1:{inside.port}/x", [("X-A", "b")], b"{}")
        assert isinstance(answer, Answered)
        assert (answer.status, inside.connections) == (200, 1)
        assert inside.visits[0].body == b"{}"
        assert inside.visits[0].headers["x-a"] == "b"


@pytest.mark.requirement("trap-33")
async def test_a_name_is_asked_once_and_the_call_goes_to_that_answer() -> None:
    async with receiver(reply(200)) as inside:
        names, lines = Names([PUBLIC], ["127.0.0.1"]), Lines()
        caller = outbound(names=names, dial=lines, ports=(inside.port,))
        url = f"https://rebinding.example.com:{inside.port}/"
        assert await caller.call("POST", url) == Failed("connect")
        assert (names.asked, lines.tried) == (["rebinding.example.com"], [PUBLIC])
        # The second call asks anew and is told the inside.
        assert await caller.call("POST", url) == Denied("address-loopback")
        assert (lines.tried, inside.connections) == ([PUBLIC], 0)


@pytest.mark.requirement("trap-33")
@pytest.mark.parametrize(
    "inside",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1", "2002:a00:1::"],
)
async def test_one_bad_address_among_good_ones_denies_them_all(inside: str) -> None:
    lines = Lines()
    answer = await outbound(names=Names([PUBLIC, inside]), dial=lines).call("POST", "https://hooks.example.com/")
    assert isinstance(answer, Denied)
    assert lines.tried == []


async def test_the_next_good_address_is_tried_when_one_does_not_answer() -> None:
    lines = Lines()
    answer = await outbound(names=Names([PUBLIC, "1.1.1.1"]), dial=lines).call("POST", "https://hooks.example.com/")
    assert (answer, lines.tried) == (Failed("connect"), [PUBLIC, "1.1.1.1"])
    # One that hangs takes its share of the five seconds, and leaves the rest to the others.
    assert lines.seconds == pytest.approx([2.5, 5.0], abs=0.2)


async def test_a_redirect_is_an_answer_and_nobody_follows_it() -> None:
    async with receiver(reply(200)) as inside, receiver(reply(302, f"location: http://127.0.0.1:{inside.port}/")) as outside:
        answer = await outbound(outside).call("POST", f"http://127.0.0.1:{outside.port}/")
        assert isinstance(answer, Answered)
        assert (answer.status, outside.connections, inside.connections) == (302, 1, 0)


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver(reply(200)) as proxy, receiver(reply(204)) as outside:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        answer = await outbound(outside).call("POST", f"http://127.0.0.1:{outside.port}/")
        assert isinstance(answer, Answered)
        assert (answer.status, proxy.connections) == (204, 0)


async def test_an_endless_answer_is_cut() -> None:
    sent = 0

    async def ten_gigabytes(_: Visit, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async with receiver(ten_gigabytes) as outside:
        answer = await outbound(outside).call("POST", f"http://127.0.0.1:{outside.port}/")
        assert isinstance(answer, Answered)
        assert (answer.status, answer.cut, len(answer.body)) == (200, True, 65_536)
    # What the sockets' buffers took, and no more.
    assert sent < 50_000_000


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nx: "])
async def test_a_slow_drip_is_cut_wherever_it_drips(first: bytes) -> None:
    async def drip(_: Visit, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with receiver(drip) as outside:
        started = asyncio.get_running_loop().time()
        caller = outbound(outside, limits=Limits(0.2, 0.4))
        answer = await caller.call("POST", f"http://127.0.0.1:{outside.port}/")
        assert answer in (Failed("timeout"), Failed("protocol"))
        assert asyncio.get_running_loop().time() - started < 2


async def test_headers_without_end_are_cut() -> None:
    async def headers(_: Visit, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-more: " + b"x" * 8000 + b"\r\n")
            await writer.drain()

    async with receiver(headers) as outside:
        answer = await outbound(outside).call("POST", f"http://127.0.0.1:{outside.port}/")
        assert answer == Failed("protocol")


async def test_a_name_server_that_hangs_is_given_up() -> None:
    async def hang(host: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    caller = Outbound(Policy(), Limits(0.1, 5), trusting(None, "CA"), resolve=hang)
    assert await caller.call("POST", "https://hooks.example.com/") == Failed("name")


async def test_nobody_there_is_a_failure_and_no_denial() -> None:
    async with receiver(reply(200)) as gone:
        pass
    assert await outbound(gone).call("POST", f"http://127.0.0.1:{gone.port}/") == Failed("connect")


async def test_tls_keeps_the_name_and_verifies_it(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    async with receiver(reply(200), authority.server_side("localhost")) as outside:
        caller = outbound(outside, ca_file=authority.ca_file)
        answer = await caller.call("POST", f"https://localhost:{outside.port}/x")
        assert isinstance(answer, Answered)
        assert outside.visits[0].headers["host"] == f"localhost:{outside.port}"
        # The certificate names the host, not the address that the connection goes to.
        assert await caller.call("POST", f"https://127.0.0.1:{outside.port}/x") == Failed("tls")
        assert await outbound(outside).call("POST", f"https://localhost:{outside.port}/x") == Failed("tls")


async def test_the_server_name_of_tls_is_the_hosts(tmp_path: Path) -> None:
    authority, seen = make_authority(tmp_path), list[str | None]()
    tls = authority.server_side("hooks.example.com")

    async with receiver(reply(200), tls) as outside:
        tls.sni_callback = lambda _socket, name, _context: seen.append(name)

        async def to_the_test(address: str, port: int, timeout: float, tls: Tls | None) -> Line:
            assert address == PUBLIC
            return await dial_tcp("127.0.0.1", outside.port, timeout, tls)

        caller = outbound(names=Names([PUBLIC]), dial=to_the_test, ca_file=authority.ca_file)
        answer = await caller.call("POST", "https://hooks.example.com/x?y=1")
        assert isinstance(answer, Answered)
        assert seen == ["hooks.example.com"]
        assert outside.visits[0].headers["host"] == "hooks.example.com"
        assert outside.visits[0].head.startswith("POST /x?y=1 HTTP/1.1")


async def test_the_settings_make_the_policy() -> None:
    async with receiver(reply(200)) as outside, receiver(reply(200)) as other:
        with open_outbound(OutboundSettings(development_targets=[f"localhost:{outside.port}"])) as caller:
            assert isinstance(await caller.call("POST", f"http://localhost:{outside.port}/"), Answered)
            assert await caller.call("POST", f"http://localhost:{other.port}/") == Denied("not-https")
        assert (outside.connections, other.connections) == (1, 0)


def test_a_file_of_authorities_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path):
        with (
            pytest.raises(ConfigurationError, match="CASESTREAM_OUTBOUND__CA_FILE"),
            open_outbound(OutboundSettings(ca_file=path)),
        ):
            raise AssertionError("it was opened")


async def test_the_systems_resolver_answers_addresses() -> None:
    resolver = SystemResolver()
    assert "127.0.0.1" in await resolver("localhost")
    resolver.close()
