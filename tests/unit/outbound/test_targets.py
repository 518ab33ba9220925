"""What may be called, judged by the text and by the address alone."""

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.outbound.addresses import DENIED, why_denied
from runtime.outbound.targets import Denied, Policy, Target, endpoint_of, judge_address, read_target
from tests.unit.outbound.hostile_urls import hostile_urls

# The hostile port itself is allowed, so that nothing is denied merely for its port.
POLICY = Policy(ports=frozenset({443, 8443}))


def test_the_corpus_is_large_and_has_no_doubles() -> None:
    urls = hostile_urls(8443)
    assert len(urls) == len(set(urls)) >= 80


@pytest.mark.requirement("trap-33")
@pytest.mark.parametrize("url", hostile_urls(8443))
def test_a_hostile_address_is_denied_by_its_text(url: str) -> None:
    assert isinstance(read_target(url, POLICY), Denied), url


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("HTTPS://Example.COM:8443/A?b=C", "example.com", 8443, "/A?b=C", "example.com:8443"),
        ("https://xn--bcher-kva.example/%20?", "xn--bcher-kva.example", 443, "/%20?", "xn--bcher-kva.example"),
        ("https://hooks_1.example.com/x", "hooks_1.example.com", 443, "/x", "hooks_1.example.com"),
        ("https://1.1.1.1/", "1.1.1.1", 443, "/", "1.1.1.1"),
        ("https://[2606:4700:4700:0:0::1111]/", "2606:4700:4700::1111", 443, "/", "[2606:4700:4700::1111]"),
        ("https://example.com?a=1", "example.com", 443, "/?a=1", "example.com"),
    ],
)
def test_a_public_address_is_read(url: str, host: str, port: int, path: str, authority: str) -> None:
    target = read_target(url, POLICY)
    assert isinstance(target, Target)
    assert (target.host, target.port, target.path, target.authority) == (host, port, path, authority)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://Example.com/a", "example.com:443"),
        ("https://example.com:8443", "example.com:8443"),
        ("http://127.0.0.1:80/x", "127.0.0.1:80"),
        ("https://[::1]/", "[::1]:443"),
        ("https://a@b/", "a@b:443"),
        ("mailto:x", ""),
        ("https:///x", ""),
        ("https://a:b/", ""),
    ],
)
def test_an_endpoint_is_host_and_port(url: str, endpoint: str) -> None:
    assert endpoint_of(url) == endpoint


@pytest.mark.requirement("trap-33")
@pytest.mark.parametrize("network", [network for network, _ in DENIED], ids=str)
def test_both_ends_of_every_denied_network_are_denied(network: object) -> None:
    net = ip_network(str(network))
    assert why_denied(net[0])
    assert why_denied(net[-1])


def test_every_address_beyond_public_ipv6_is_denied() -> None:
    assert why_denied(ip_address("4000::1")) == "not-public"
    assert why_denied(ip_address("1fff:ffff::1")) == "not-public"
    assert why_denied(ip_address("2606:4700:4700::1111")) is None
    assert why_denied(ip_address("2606:4700:4700::1111%eth0")) == "not-public"


def test_only_the_listed_place_of_this_machine_may_be_called_and_only_there() -> None:
    policy = Policy(development=frozenset({("127.0.0.1", 8080), ("localhost", 8081)}))
    listed = read_target("http://127.0.0.1:8080/x", policy)
    assert isinstance(listed, Target)
    assert listed.here
    assert judge_address(listed, ip_address("127.0.0.1")) is None
    # A listed name that leads elsewhere is no way out of the list.
    named = read_target("http://localhost:8081/", policy)
    assert isinstance(named, Target)
    assert judge_address(named, ip_address("10.0.0.1")) == "address-not-loopback"
    for url in ("http://127.0.0.1:8081/", "http://127.0.0.2:8080/", "http://[::1]:8080/", "https://127.0.0.1/"):
        assert isinstance(read_target(url, policy), Denied), url


_PIECES = st.sampled_from(
    [
        "https://",
        "http://",
        "HTTPS:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "443",
        "8443",
        "[",
        "]",
        "::1",
        "127.0.0.1",
        "0x7f",
        "1",
        ".",
        "%2e",
    ]
    + [
        "example.com",
        "localhost",
        "a",
        "-",
        "_",
        "#",
        "?",
        "x=1",
        "。",
        "①",
        "\t",
        "\n",
        " ",
        "\x00",
        "xn--",
        "%",
        "{",
        "2130706433",
    ]
)


@pytest.mark.requirement("trap-33")
@settings(max_examples=3000, deadline=None)
@given(st.lists(_PIECES, max_size=9).map("".join) | st.text(max_size=40).map("https://{}".format))
def test_what_is_allowed_has_one_reading(url: str) -> None:
    """Any text: it is denied, or three readers see the same host and port in it."""
    target = read_target(url, POLICY)
    if isinstance(target, Denied):
        return
    plain, other = urlsplit(url), httpx.URL(url)
    host = target.host.strip("[]")
    for read in (plain.hostname, other.host):
        assert read is not None
        assert (str(ip_address(read)) if target.address else read) == host
    assert {plain.port or 443, other.port or 443} == {target.port}
    assert target.secure
    assert target.address is None or why_denied(target.address) is None
