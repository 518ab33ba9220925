"""What leaves the system: calls to addresses that tenants write, and mail."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _on_this_machine(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536 and _is_loopback(host.strip("[]"))):
        raise ValueError("expected host:port of this machine, such as 127.0.0.1:8080")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OutboundSettings(_Section):
    """Webhooks: what tenants may make us call, and for how long."""

    ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field([443], description="Ports that may be called, with https only.")
    development_targets: list[Annotated[str, AfterValidator(_on_this_machine)]] = Field(
        [], description="Exact host:port of this machine that may be called too, with http as well. Refused in production."
    )
    ca_file: Path | None = Field(None, description="Who may sign receivers' certificates (PEM). Default: the system's.")
    connect_seconds: float = Field(5.0, gt=0, le=30, description="Longest time to connect, the resolver's too.")
    total_seconds: float = Field(10.0, gt=0, le=60, description="Longest time of a call, the slowest answer included.")
    answer_bytes: int = Field(65_536, ge=1024, le=1_048_576, description="What is read of an answer; the rest is cut off.")


class SmtpSettings(_Section):
    """Mail: the relay that takes it. Without a host no mail is sent, and each fails."""

    host: str = Field("", description="The relay's host.")
    port: int = Field(587, ge=1, le=65535, description="Its port.")
    security: Literal["none", "starttls", "tls"] = Field(
        "starttls", description="`starttls` before anything else, `tls` from the first byte; `none` only in development."
    )
    username: str | None = Field(None, description="The login's name, where the relay asks for one.")
    password: SecretStr | None = Field(None, min_length=1, title="any text", description="Its password.")
    sender: str = Field(
        "", pattern=f"({_ADDRESS})|^$", title="an address", description="From whom mail is; needed with a host."
    )
    domain: str = Field(
        "casestream.invalid", pattern=r"^[A-Za-z0-9.-]{1,253}$", title="a domain", description="Right part of each Message-ID."
    )
    ca_file: Path | None = Field(None, description="Who may sign the relay's certificate (PEM). Default: the system's.")
    timeout_seconds: float = Field(20.0, gt=0, le=60, description="Longest time of one step of the conversation.")
