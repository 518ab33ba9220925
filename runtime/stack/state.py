"""What a stack remembers between two commands: ports, addresses and passwords; and what settings read of it.

Imports nothing but the standard library: the settings of every process read `local_environment()`.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from runtime.stack.home import Home, default_home, write_private

_DATABASE = "casestream"
# The base form that settings understand: each role's name replaces the user, the password is the same for all.
_BASE_ROLE = "cs_migrate"
_LOOPBACK = "127.0.0.1"
# As in runtime/settings/model.py, which this module must not import: settings read the local stack through it.
DEVELOPMENT_ISSUER = "casestream-development"
DEVELOPMENT_AUDIENCE = "casestream"


@dataclass(frozen=True, slots=True)
class NodePorts:
    """The two ports of one Kafka node."""

    broker: int
    controller: int


@dataclass(frozen=True, slots=True)
class StackState:
    """The state file: chosen ports, the cluster's id. `superuser_url` is for people and tests, never for processes."""

    postgres_port: int
    kafka_ports: tuple[NodePorts, ...]
    kafka_cluster_id: str
    superuser_url: str

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"{_LOOPBACK}:{ports.broker}" for ports in self.kafka_ports)


@dataclass(frozen=True, slots=True)
class StackSecrets:
    """Random passwords of this home: the superuser's, and the one that all Casestream roles share here."""

    superuser: str
    roles: str


def read_state(home: Home) -> StackState | None:
    """The remembered state; None when there is none, or none that this version can read."""
    try:
        content = json.loads(home.state.read_text())
        ports = tuple(NodePorts(int(node["broker"]), int(node["controller"])) for node in content["kafka_ports"])
        return StackState(int(content["postgres_port"]), ports, str(content["kafka_cluster_id"]), str(content["superuser_url"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(home: Home, state: StackState) -> None:
    write_private(home.state, json.dumps(asdict(state), indent=1))


def ensure_secrets(home: Home) -> StackSecrets:
    """The passwords of this home, drawn at the first call."""
    known = read_secrets(home.secrets)
    if known is None:
        known = StackSecrets(superuser=secrets.token_urlsafe(24), roles=secrets.token_urlsafe(24))
        write_private(home.secrets, json.dumps(asdict(known), indent=1))
    return known


def read_secrets(path: Path) -> StackSecrets | None:
    try:
        content = json.loads(path.read_text())
        return StackSecrets(str(content["superuser"]), str(content["roles"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stack_environment(home: Home) -> dict[str, str] | None:
    """The environment variables that point a process at this stack; None when it was never up."""
    state, known = read_state(home), read_secrets(home.secrets)
    if state is None or known is None:
        return None
    password = quote(known.roles, safe="")
    return {
        "DATABASE_URL": f"postgresql://{_BASE_ROLE}:{password}@{_LOOPBACK}:{state.postgres_port}/{_DATABASE}",
        "KAFKA_BOOTSTRAP_SERVERS": state.bootstrap_servers,
        "CASESTREAM_JWT_ISSUERS": json.dumps([development_issuer(home)]),
        # Whole paths: a command may be started from any folder.
        "CASESTREAM_KEYS__KEK_FILE": str(home.keks),
        "CASESTREAM_KEYS__LEDGER_FILE": str(home.keks.with_name(f"shredded-{_DATABASE}.jsonl")),
    }


def development_issuer(home: Home) -> dict[str, object]:
    """The entry for the development issuer in the setting `CASESTREAM_JWT_ISSUERS`."""
    return {
        "issuer": DEVELOPMENT_ISSUER,
        "audience": DEVELOPMENT_AUDIENCE,
        "algorithms": ["RS256"],
        "jwks": str(home.issuer / "jwks.json"),
    }


def local_environment() -> dict[str, str] | None:
    """`stack_environment` of this checkout's stack (or of `CASESTREAM_HOME`), for settings without a DATABASE_URL."""
    return stack_environment(default_home())
