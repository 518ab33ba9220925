"""Where a local stack keeps its things: one folder, one name per thing.

`.casestream/` at the project's root, or the folder that `CASESTREAM_HOME` names. Whatever holds a secret is written
with mode 0600 before its first byte.
"""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one stack; `cache` holds what may be shared between stacks (Kafka's jars)."""

    root: Path
    cache: Path

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def keks(self) -> Path:
        return self.root / "keys" / "keks.json"

    @property
    def audit_key(self) -> Path:
        return self.root / "audit" / "signing.pem"

    @property
    def issuer(self) -> Path:
        return self.root / "issuer"


def default_home() -> Home:
    """The stack of this checkout, or the one `CASESTREAM_HOME` names; Kafka's jars stay with the checkout."""
    named = os.environ.get("CASESTREAM_HOME")
    cache = PROJECT / ".casestream" / "cache"
    return Home(Path(named).expanduser().resolve() if named else PROJECT / ".casestream", cache)


def write_private(path: Path, text: str) -> None:
    """Replaces `path` in one step with a file that only its owner can read, also while it is being written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
