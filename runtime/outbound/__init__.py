"""Calls to addresses that tenants write: the guard against requests to the inside (SSRF), and nothing a caller can widen.

| module | owns |
|---|---|
| `addresses` | pure: which IP addresses nobody may reach, and why |
| `targets` | pure: an address (URL) is read strictly, or denied with a code |
| `dialing` | names to addresses once, and connections to exactly those |
| `client` | one call: read, resolve, check, connect, ask, and stop in time |

A denied address is a value, never an exception. Nothing here reads proxies from the environment, follows redirects, keeps
cookies or reuses a connection.
"""

from runtime.outbound.client import Answered, Failed, Limits, Outbound, open_outbound
from runtime.outbound.targets import Denied, Policy, Target, endpoint_of, read_target

__all__ = [
    "Answered",
    "Denied",
    "Failed",
    "Limits",
    "Outbound",
    "Policy",
    "Target",
    "endpoint_of",
    "open_outbound",
    "read_target",
]
