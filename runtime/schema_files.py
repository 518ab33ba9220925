"""The files of `schemas/published/`: compare them with the code, write them, keep their history.

`history/<type>/<n>.schema.json` is every schema that was ever published, append-only: replays read the first event ever
written, so a new schema is judged against all of them.
"""

import json
from pathlib import Path
from typing import Any

from schemas import published
from schemas.compatibility import judge

DIRECTORY = Path(__file__).resolve().parent.parent / "schemas" / "published"
_HISTORY = "history"
History = dict[str, dict[int, dict[str, Any]]]


def stale_files(directory: Path = DIRECTORY) -> list[str]:
    """Names of generated files that differ from the code, are missing, or should not be there."""
    wanted = published.render()
    present = {path.name: path.read_text() for path in directory.glob("*.json")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def read_history(directory: Path = DIRECTORY) -> History:
    """Every published schema: type -> version -> schema."""
    history: History = {}
    for path in sorted((directory / _HISTORY).glob(f"*/*{published.SUFFIX}")):
        version = int(path.name.removesuffix(published.SUFFIX))
        history.setdefault(path.parent.name, {})[version] = json.loads(path.read_text())
    return history


def incompatibilities(directory: Path = DIRECTORY) -> list[str]:
    """Why today's readers would fail on events that a published schema allowed."""
    return judge(_current(), read_history(directory))


def unpublished(directory: Path = DIRECTORY) -> list[str]:
    """Types whose schema of today is not the newest of its history."""
    history = read_history(directory)
    return sorted(name for name, schema in _current().items() if _newest(history, name) != schema)


def problems(directory: Path = DIRECTORY) -> list[str]:
    """What a check refuses, each line with its cure."""
    cure = "run `casestream schema publish` and commit the files"
    return [
        *(f"schemas/published/{name} differs from the code: {cure}" for name in stale_files(directory)),
        *(f"{name}: today's schema is not in its history: {cure}" for name in unpublished(directory)),
        *incompatibilities(directory),
    ]


def publish(directory: Path = DIRECTORY) -> list[str]:
    """Write what differs and append to the history; names of the files written. The caller has judged compatibility."""
    files = {name: text for name, text in published.render().items() if name in stale_files(directory)}
    history = read_history(directory)
    for name in unpublished(directory):
        version = len(history.get(name, {})) + 1
        files[f"{_HISTORY}/{name}/{version}{published.SUFFIX}"] = published.as_text(_current()[name])
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in stale_files(directory):
        (directory / name).unlink()
        files[name] = ""
    return sorted(files)


def _current() -> dict[str, dict[str, Any]]:
    # Another wording is no other schema: descriptions stay out of the history.
    return {
        name: {keyword: value for keyword, value in schema.items() if keyword != "description"}
        for name, schema in published.payload_schemas().items()
    }


def _newest(history: History, name: str) -> dict[str, Any] | None:
    versions = history.get(name, {})
    return versions[max(versions)] if versions else None
