"""`casestream publish --as events`: entity changes from a JSONL file, through the door that every upstream uses."""

import asyncio
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from clients.events import EventPublisher
from runtime.cli.output import show_record
from runtime.cli.tokens import tokens_of
from schemas.errors import ConfigurationError

MOST_PROBLEMS = 20


def publish_events(file: Path, url: str, rate: float | None, tokens: Sequence[str]) -> None:
    """Publish the file's events; refused ones are counted by their code, and none of them stops the others."""
    events = read_events(file)
    tenants = sorted({event["tenantId"] for event in events})
    publisher = EventPublisher(url, tokens_of(tokens, tenants), rate)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("events", total=len(events))
        asyncio.run(publisher.publish(events, lambda sent: progress.advance(task, sent)))
    tally = publisher.tally
    show_record({"accepted": tally.accepted, "duplicates": tally.duplicates, "refused": sum(tally.refused.values())})
    for code, count in tally.refused.most_common():
        Console(stderr=True).print(f"refused: {code}: {count}")


def read_events(file: Path) -> list[dict[str, Any]]:
    """The events of a JSONL file, plain or .gz. Raises ConfigurationError that names every bad line."""
    try:
        text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        lines = text.decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{file}: cannot be read as UTF-8 text ({type(error).__name__})"]) from error
    found = [(number, _event(line)) for number, line in enumerate(lines, 1) if line.strip()]
    problems = [f"{file.name}, line {number}: expected a JSON object with tenantId" for number, event in found if event is None]
    if problems:
        raise ConfigurationError(problems[:MOST_PROBLEMS])
    return [event for _, event in found if event is not None]


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("tenantId"), str) else None
