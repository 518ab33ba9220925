"""Key-encryption keys of a test session, and where a test's shred ledger lies."""

import base64
import os
import tempfile
from pathlib import Path

from tests.infrastructure.databases import ClonedDatabase

KEKS = {name: os.urandom(32) for name in ("kek-1", "kek-2")}


def keks(*names: str) -> str:
    """The text of these key-encryption keys, the current one first."""
    return ",".join(f"{name}:{base64.b64encode(KEKS[name]).decode()}" for name in names)


def key_environment(database: ClonedDatabase) -> dict[str, str]:
    """The environment of a process of a test that may use keys; the fixture `keys_database` makes the database."""
    return {
        "CASESTREAM_KEYS__PROVIDER": "environment",
        "CASESTREAM_KEYS__KEKS": keks("kek-1"),
        "CASESTREAM_KEYS__LEDGER_FILE": str(Path(tempfile.gettempdir()) / "casestream-ledgers" / f"{database.name}.jsonl"),
    }
