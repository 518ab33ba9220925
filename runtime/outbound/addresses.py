"""Which IP addresses are denied, by an explicit list. Pure.

`ipaddress.is_global` is not asked: its answers changed between Python releases, and it calls forms global that carry an
IPv4 address inside (6to4, NAT64). IPv6 is denied as a whole beyond 2000::/3, where the public addresses are.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address

_LIST = """
    0.0.0.0/8          this-network
    10.0.0.0/8         private
    100.64.0.0/10      carrier-nat
    127.0.0.0/8        loopback
    168.63.129.16/32   metadata
    169.254.0.0/16     link-local
    172.16.0.0/12      private
    192.0.0.0/24       protocol-assignments
    192.0.2.0/24       documentation
    192.31.196.0/24    reserved
    192.52.193.0/24    reserved
    192.88.99.0/24     6to4
    192.168.0.0/16     private
    192.175.48.0/24    reserved
    198.18.0.0/15      benchmarking
    198.51.100.0/24    documentation
    203.0.113.0/24     documentation
    224.0.0.0/4        multicast
    240.0.0.0/4        reserved
    ::/128             unspecified
    ::1/128            loopback
    ::/96              ipv4-compatible
    ::ffff:0:0/96      ipv4-mapped
    ::ffff:0:0:0/96    ipv4-translated
    64:ff9b::/96       nat64
    64:ff9b:1::/48     nat64
    100::/64           discard
    2001::/32          teredo
    2001::/23          protocol-assignments
    2001:db8::/32      documentation
    2002::/16          6to4
    2620:4f:8000::/48  reserved
    3fff::/20          documentation
    5f00::/16          segment-routing
    fc00::/7           private
    fe80::/10          link-local
    fec0::/10          site-local
    ff00::/8           multicast
"""

# The first that holds the address names the reason.
DENIED: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(words[0]), words[1]) for words in (line.split() for line in _LIST.strip().splitlines())
)
_PUBLIC = IPv6Network("2000::/3")


def why_denied(address: Address) -> str | None:
    """The kind of denied address that this is, or None for one that may be called."""
    for network, kind in DENIED:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and (address not in _PUBLIC or address.scope_id is not None):
        return "not-public"
    return None
