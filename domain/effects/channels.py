"""How many calls each channel may begin now: pure. A channel is one tenant's calls to one endpoint.

Limits of concurrency and rate keep a tenant and an endpoint from taking every place of the workers; the circuit of a channel
stops calls to a dead endpoint but for one at a time, which probes. So a dead endpoint delays nobody else. The circuit is the
tenant's own: a tenant whose calls to a shared host fail must not stop other tenants' calls to it.

    closed --`threshold` answers of "not now" in a row--> open --its time is over--> one probe --answer--> closed or open again
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ChannelKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """Most calls at a time, and calls a second (0: any number)."""

    tenant_calls: int
    channel_calls: int
    endpoint_calls: int
    tenant_rate: float
    channel_rate: float
    threshold: int
    first_open_seconds: float
    longest_open_seconds: float


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel with work and no open circuit. `due`: how many calls wait, up to a bound; `oldest`: for how many seconds.

    `failures`: answers of "not now" in a row. `idle`: seconds since its tokens were counted; likewise for the tenant as a
    whole.
    """

    tenant_id: str
    endpoint: str
    due: int
    oldest: float
    failures: int = 0
    tokens: float = 0.0
    idle: float = 0.0
    tenant_tokens: float = 0.0
    tenant_idle: float = 0.0

    @property
    def key(self) -> ChannelKey:
        return (self.tenant_id, self.endpoint)


@dataclass(frozen=True, slots=True)
class Allotment:
    """Calls that each channel may begin, and the tokens that remain; endpoint '' is the tenant as a whole."""

    calls: Mapping[ChannelKey, int]
    tokens: Mapping[ChannelKey, float]


def allot(channels: Sequence[Channel], in_flight: Mapping[ChannelKey, int], limits: Limits, places: int) -> Allotment:
    """Give away `places`, one each in turn, the longest waiting channel first. `in_flight`: calls of all workers."""
    running = Counter(in_flight)
    tenants, endpoints = _sums(in_flight)
    tokens = _tokens(channels, limits)
    given: Counter[ChannelKey] = Counter()
    turn = deque(sorted(channels, key=lambda channel: (-channel.oldest, channel.key)))
    while turn and places > 0:
        channel = turn.popleft()
        # Limits only get tighter while places are given away: a channel that may not now will not later.
        if _may(channel, given, running, tenants, endpoints, tokens, limits):
            places -= 1
            for counter, key in ((given, channel.key), (running, channel.key)):
                counter[key] += 1
            tenants[channel.tenant_id] += 1
            endpoints[channel.endpoint] += 1
            tokens[channel.key] -= 1
            tokens[channel.tenant_id, ""] -= 1
            turn.append(channel)
    touched = set(given) | {(tenant, "") for tenant, _ in given}
    return Allotment(dict(given), {key: tokens[key] for key in touched if tokens[key] != float("inf")})


def _may(
    channel: Channel,
    given: Mapping[ChannelKey, int],
    running: Mapping[ChannelKey, int],
    tenants: Mapping[str, int],
    endpoints: Mapping[str, int],
    tokens: Mapping[ChannelKey, float],
    limits: Limits,
) -> bool:
    # A circuit whose time is over lets one call through, which probes.
    most = limits.channel_calls if channel.failures < limits.threshold else 1
    return (
        given.get(channel.key, 0) < channel.due
        and running.get(channel.key, 0) < most
        and tenants.get(channel.tenant_id, 0) < limits.tenant_calls
        and endpoints.get(channel.endpoint, 0) < limits.endpoint_calls
        and tokens[channel.key] >= 1
        and tokens[channel.tenant_id, ""] >= 1
    )


def _sums(in_flight: Mapping[ChannelKey, int]) -> tuple[Counter[str], Counter[str]]:
    tenants: Counter[str] = Counter()
    endpoints: Counter[str] = Counter()
    for (tenant, endpoint), calls in in_flight.items():
        tenants[tenant] += calls
        endpoints[endpoint] += calls
    return tenants, endpoints


def _tokens(channels: Iterable[Channel], limits: Limits) -> dict[ChannelKey, float]:
    found: dict[ChannelKey, float] = {}
    for channel in channels:
        found[channel.key] = _refilled(channel.tokens, channel.idle, limits.channel_rate)
        found[channel.tenant_id, ""] = _refilled(channel.tenant_tokens, channel.tenant_idle, limits.tenant_rate)
    return found


def _refilled(tokens: float, idle: float, rate: float) -> float:
    """A bucket holds what one second gives, at least one call."""
    return float("inf") if rate <= 0 else min(max(rate, 1.0), tokens + max(idle, 0.0) * rate)


def circuit_after(failures: int, answers: Sequence[bool], limits: Limits) -> tuple[int, float]:
    """Failures in a row after these answers (True: the other side is alive), and for how many seconds the circuit opens."""
    for alive in answers:
        failures = 0 if alive else failures + 1
    if failures < limits.threshold or not answers or answers[-1]:
        return failures, 0.0
    growth = 2.0 ** min(failures - limits.threshold, 30)
    return failures, min(limits.first_open_seconds * growth, limits.longest_open_seconds)
