"""How many calls to the outside are made, how fast, and for how long; of timers too how often they are looked for."""

from pydantic import BaseModel, ConfigDict, Field


class EffectSettings(BaseModel):
    """Calls to the outside, and timers. A channel is one tenant's calls to one endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_flight: int = Field(256, ge=1, le=10_000, description="Most calls of one process at a time.")
    tenant_in_flight: int = Field(128, ge=1, le=10_000, description="Most calls of one tenant at a time, over all processes.")
    channel_in_flight: int = Field(32, ge=1, le=10_000, description="Most calls of one channel at a time, over all processes.")
    endpoint_in_flight: int = Field(128, ge=1, le=10_000, description="Most calls to one endpoint at a time, for all tenants.")
    tenant_per_second: float = Field(
        2000, ge=0, le=1_000_000, description="Most calls of one tenant in a second; 0: any number."
    )
    channel_per_second: float = Field(
        1000, ge=0, le=1_000_000, description="Most calls of a channel in a second; 0: any number."
    )
    circuit_failures: int = Field(5, ge=1, le=1000, description="Failing answers in a row that open a channel's circuit.")
    circuit_seconds: float = Field(
        5, ge=0.1, le=3600, description="How long a circuit is open the first time; then it doubles."
    )
    circuit_max_seconds: float = Field(
        120, ge=0.1, le=86_400, description="The longest time between two probes of an endpoint."
    )
    call_seconds: float = Field(30, ge=0.1, le=600, description="Longest call; after that it counts as not answered.")
    lease_seconds: float = Field(6, ge=1, le=60, description="Life of a call's lease.")
    renew_seconds: float = Field(2, ge=0.1, le=30, description="Time between renewals; at most half of the lease.")
    drain_seconds: float = Field(10, ge=0, le=14, description="How long a process that leaves waits for its calls.")
    poll_min_ms: int = Field(2, ge=1, le=1000, description="Shortest wait between two looks, while there is work.")
    poll_max_ms: int = Field(50, ge=1, le=10_000, description="Longest wait between two looks, when idle.")
    payload_days: float = Field(7, ge=0.001, le=3650, description="Days that a finished effect keeps its request and answer.")
