"""The shred ledger's copy outside both databases: one JSON object per line, appended and synced; no line ever changes.

After a restore of both databases to a time before a shred, this file alone still knows of it. It holds ids, times and an
operator's words, no key. A line that a crash cut short is passed over when it is the last one: its writer had not been told
that it was written, and the ledgers' union writes it again.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from uuid import UUID

from runtime.settings import Settings
from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An order to destroy a subject's keys: who asked for it, when and why."""

    tenant: str
    subject: str
    shred_id: UUID
    ordered_at: datetime
    requested_by: str
    reason: str

    @property
    def place(self) -> tuple[str, str]:
        return self.tenant, self.subject


class LedgerFile:
    """The file at `path`; no file is an empty ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[LedgerEntry]:
        """Every entry, the first one of each subject. Raises ConfigurationError for a line that is none (but the last)."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError([f"{self._path}: the shred ledger cannot be read ({type(error).__name__})"]) from None
        found: dict[tuple[str, str], LedgerEntry] = {}
        for number, line in enumerate(lines, start=1):
            entry = _parsed(line) if line else None
            if entry is not None:
                found.setdefault(entry.place, entry)
            elif line and number < len(lines):
                raise ConfigurationError(
                    [f"{self._path}: line {number} is no entry of the shred ledger; restore the file from its copy"]
                )
        return list(found.values())

    def require_writable(self) -> None:
        """Raises ConfigurationError when a line could not be added: asked before a shred takes its first step."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._path.open("ab"):
                pass
        except OSError as error:
            raise ConfigurationError(
                [f"{self._path}: the shred ledger cannot be written ({type(error).__name__}); see CASESTREAM_KEYS__LEDGER_FILE"]
            ) from None

    def append(self, entries: Sequence[LedgerEntry]) -> int:
        """Those that are not in it yet, on disk when this returns; how many."""
        if not entries:
            return 0
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = {entry.place for entry in self.read()}
            new = [entry for entry in entries if entry.place not in known]
            _end_whole(file)
            file.write(b"".join(_line(entry) for entry in new))
            file.flush()
            os.fsync(file.fileno())
        return len(new)


def ledger_file(settings: Settings) -> LedgerFile:
    """The file that the settings name. By default one per main database: the ledger of another would erase its namesakes."""
    database = urlsplit(settings.database_url.get_secret_value()).path.strip("/")
    return LedgerFile(settings.keys.ledger_file or settings.home / "keys" / f"shredded-{database}.jsonl")


def missing_from(entries: Iterable[LedgerEntry], known: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """The entries whose subjects the others lack."""
    places = {entry.place for entry in known}
    return [entry for entry in entries if entry.place not in places]


def _end_whole(file: BinaryIO) -> None:
    """Bring the end to the end of a line: what a crash cut short is cut off, for nobody was told that it was written."""
    file.seek(0)
    content = file.read()
    tail = content[content.rfind(b"\n") + 1 :]
    if tail and _parsed(tail) is None:
        file.truncate(len(content) - len(tail))
    elif tail:
        file.write(b"\n")


def _line(entry: LedgerEntry) -> bytes:
    fields = {
        "tenant": entry.tenant,
        "subject": entry.subject,
        "shred_id": str(entry.shred_id),
        "ordered_at": entry.ordered_at.isoformat(),
        "requested_by": entry.requested_by,
        "reason": entry.reason,
    }
    return json.dumps(fields, ensure_ascii=True).encode() + b"\n"


def _parsed(line: bytes) -> LedgerEntry | None:
    try:
        fields = json.loads(line)
        moment = datetime.fromisoformat(fields["ordered_at"])
        words = {name: str(fields[name]) for name in ("tenant", "subject", "requested_by", "reason")}
        return LedgerEntry(shred_id=UUID(fields["shred_id"]), ordered_at=moment, **words)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
