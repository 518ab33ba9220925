"""`casestream publish`: feed any audit log of cases to the system, through the doors that everybody uses."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from clients.work_items import HttpPublisher, KafkaPublisher, Tally
from domain.work_items.import_mapping import ImportMapping, load_mapping
from domain.work_items.importing import ImportCommand, Importer, Row
from runtime.cli.output import show_rows
from runtime.cli.publish_events import publish_events
from runtime.cli.tokens import tokens_of
from runtime.settings import Settings
from schemas.errors import ConfigurationError


def publish(
    file: Annotated[Path, typer.Argument(help="CSV or JSONL, plain or .gz: a row per update of a case, or an event a line")],
    mapping: Annotated[Path | None, typer.Option("--mapping", help="How a case's columns become actions (YAML)")] = None,
    kind: Annotated[str, typer.Option("--as", help="work-items, or events: changes of entities, over HTTP")] = "work-items",
    via: Annotated[str, typer.Option(help="http, kafka, or split: half of the items each way")] = "split",
    url: Annotated[str, typer.Option(help="The API")] = "http://127.0.0.1:8000",
    again: Annotated[float, typer.Option(min=0, max=1, help="Share of commands to deliver twice")] = 0.0,
    token: Annotated[list[str] | None, typer.Option(help="TENANT=FILE; default: the development issuer signs")] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Events a second; without it as fast as they are taken")] = None,
) -> None:
    """Publish a file. Every command and event keeps its id, so publishing the file again changes nothing."""
    if kind == "events":
        publish_events(file, url, rate, token or [])
        return
    if kind != "work-items":
        raise typer.BadParameter(f"{kind!r} is unknown: use work-items or events", param_hint="--as")
    if mapping is None:
        raise typer.BadParameter("cases need a mapping file", param_hint="--mapping")
    if via not in ("http", "kafka", "split"):
        raise typer.BadParameter(f"{via!r} is unknown: use http, kafka or split", param_hint="--via")
    settings, chosen = Settings.load(), load_mapping(mapping)
    importer = Importer(chosen)
    items = importer.commands(read_rows(file, chosen))
    tokens = tokens_of(token or [], chosen.tenants)
    tallies = asyncio.run(_publish(settings, chosen, items, via, HttpPublisher(url, tokens, again), again))
    show_rows([_row(door, tally) for door, tally in tallies.items()], title=f"{len(items)} items")
    for what, count in importer.unmapped.items():
        typer.echo(f"unmapped: {what}: {count}", err=True)


async def _publish(
    settings: Settings,
    mapping: ImportMapping,
    items: Sequence[Sequence[ImportCommand]],
    via: str,
    http: HttpPublisher,
    again: float,
) -> dict[str, Tally]:
    kafka = KafkaPublisher(settings, mapping.source, again)
    by_http = {"http": items, "kafka": [], "split": items[::2]}[via]
    by_kafka = {"http": [], "kafka": items, "split": items[1::2]}[via]
    with Progress(console=Console(stderr=True)) as progress:
        http_task = progress.add_task("HTTP", total=sum(map(len, by_http)))
        kafka_task = progress.add_task("Kafka", total=sum(map(len, by_kafka)))
        await asyncio.gather(
            http.publish(by_http, _advance(progress, http_task)),
            kafka.publish(by_kafka, _advance(progress, kafka_task)) if by_kafka else asyncio.sleep(0),
        )
    return {door: tally for door, tally in (("http", http.tally), ("kafka", kafka.tally)) if tally.commands}


def _advance(progress: Progress, task: TaskID) -> Callable[[int], None]:
    def advance(steps: int) -> None:
        progress.advance(task, steps)

    return advance


def _row(door: str, tally: Tally) -> dict[str, object]:
    answered = door == "http"
    return {
        "door": door,
        "commands": tally.commands,
        "deliveries": tally.deliveries,
        "applied": tally.applied if answered else "see the events",
        "refused": sum(tally.refused.values()) if answered else "see the events",
        "replayed": tally.replayed if answered else "absorbed by the inbox",
    }


def read_rows(file: Path, mapping: ImportMapping) -> Iterator[Row]:
    """The rows of a CSV or JSONL file. Raises ConfigurationError: not readable, or a mapped column is missing."""
    name = file.name.removesuffix(".gz")
    try:
        text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        lines = io.StringIO(text.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{file}: cannot be read as UTF-8 text ({type(error).__name__})"]) from error
    rows: Iterator[Row] = csv.DictReader(lines) if name.endswith(".csv") else map(json.loads, lines)
    columns = mapping.columns
    wanted = {columns.item, columns.order, columns.state, columns.at, columns.by, columns.assignee}
    for number, row in enumerate(rows, 1):
        if missing := wanted - row.keys():
            raise ConfigurationError([f"{file.name}, row {number}: column {', '.join(sorted(missing))} is missing"])
        yield row
