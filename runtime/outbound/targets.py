"""An address that a tenant wrote is read strictly, or denied with a code. Pure: no name is resolved here.

Lenient readers are how guards are passed: two programs that read `https://a@b\\c` differently call different hosts. So there
is one spelling of everything: ASCII, no user, no trailing dot, IPv4 in four decimal numbers; other forms are denied, never
mended.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from runtime.outbound.addresses import Address, why_denied

LONGEST = 2048
_URL = re.compile(r"(https?)://([^/?#]*)(/[^?#]*)?(\?[^#]*)?", re.IGNORECASE)
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(?::([1-9][0-9]{0,4}))?")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
# Browsers and the C library read a name that ends like this as a number.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

# Names of the inside, whatever they resolve to; their subdomains too.
_INSIDE = frozenset(
    "localhost localdomain local internal intranet private corp home lan home.arpa onion"
    " metadata.goog metadata.tencentyun.com metadata.packet.net metadata.platformequinix.com".split()
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be called: https on these ports; and, for development alone, these (host, port) on this machine."""

    ports: frozenset[int] = frozenset({443})
    development: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """A good address. `address` is set where the host is no name. `here`: it is of the development's list."""

    secure: bool
    host: str
    port: int
    path: str
    address: Address | None
    here: bool

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Denied:
    """Nobody was called. `reason` is a code; it quotes nothing."""

    reason: str


def read_target(url: str, policy: Policy) -> Target | Denied:
    """The address in its parts, as far as the text alone can be judged."""
    if len(url) > LONGEST:
        return Denied("url-too-long")
    parts = _URL.fullmatch(url)
    if parts is None or not _CHARACTERS.fullmatch(url):
        return Denied("url-form")
    if "@" in parts[2]:
        return Denied("url-userinfo")
    place = _AUTHORITY.fullmatch(parts[2].lower())
    if place is None:
        return Denied("host-form")
    secure = parts[1].lower() == "https"
    host = _read_host(place[1])
    if isinstance(host, Denied):
        return host
    port = int(place[2] or (443 if secure else 80))
    here = (str(host), port) in policy.development
    address = None if isinstance(host, str) else host
    target = Target(secure, str(host), port, (parts[3] or "/") + (parts[4] or ""), address, here)
    return target if here else _judged(target, policy)


def endpoint_of(url: str) -> str:
    """Whom a call of this address reaches, as `host:port`, whether it may or not; '' for what is no address."""
    parts = _URL.fullmatch(url)
    place = _AUTHORITY.fullmatch(parts[2].lower()) if parts else None
    if parts is None or place is None or not place[1]:
        return ""
    return f"{place[1]}:{place[2] or (443 if parts[1].lower() == 'https' else 80)}"


def judge_address(target: Target, address: Address) -> str | None:
    """Why a call of this target may not go to this address, as a code; None: it may."""
    if target.here:
        return None if address.is_loopback else "address-not-loopback"
    kind = why_denied(address)
    return kind and f"address-{kind}"


def _judged(target: Target, policy: Policy) -> Target | Denied:
    if not target.secure:
        return Denied("not-https")
    if target.port not in policy.ports:
        return Denied("port")
    if target.address is not None:
        reason = judge_address(target, target.address)
        return Denied(reason) if reason else target
    labels = target.host.split(".")
    if len(labels) == 1 or any(".".join(labels[start:]) in _INSIDE for start in range(len(labels))):
        return Denied("name-of-the-inside")
    return target


def _read_host(text: str) -> str | Address | Denied:
    try:
        if text.startswith("["):
            return IPv6Address(text[1:-1])
        if _NUMERIC.fullmatch(text):
            return IPv4Address(text)
    except AddressValueError:
        return Denied("address-form")
    if len(text) > 253 or not (_NAME.fullmatch(text) or re.fullmatch(_LABEL, text)):
        return Denied("host-form")
    return text
