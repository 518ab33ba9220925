"""What the demo prints at the end: the books, what is parked, latency, an analyst's answers, and what to type next."""

import asyncpg
from rich.console import Console
from rich.table import Table

from demo.run import Books
from runtime.cli.output import cell

ROWS = """select left(work_item_id, 8) as item, status, priority, assignee_id, opened_at::date, resolved_at::date, reopen_count
from analytics.work_item_board where status = 'closed' order by opened_at limit 3"""
HOURS = """select priority, count(*) as resolved,
       round(percentile_cont(0.5) within group (order by extract(epoch from resolved_at - opened_at) / 3600)::numeric, 1)
           as median_hours
from analytics.work_item_board where resolved_at is not null and activity_area = 'it' group by priority order by median_hours"""
REOPENED = "select count(*) as reopened_items, sum(reopen_count) as times from analytics.work_item_board where reopen_count > 0"


async def show(console: Console, books: Books, analyst: asyncpg.Connection, url: str) -> bool:
    """Print everything; True when the books balance."""
    console.print(_books(books))
    console.print(_refusals(books))
    if books.parked:
        console.print(_parked(books))
    _times(console, books)
    for title, query in (
        ("Three rows of the analysts' table", ROWS),
        ("Median hours to resolve, by priority", HOURS),
        ("Reopened items", REOPENED),
    ):
        console.print(_answer(title, await analyst.fetch(query)))
    problems = books.problems()
    for problem in problems:
        console.print(f"[red]The books do not balance:[/red] {problem}")
    if not problems:
        console.print("[green]The books balance.[/green]")
    console.print(
        f"API document: {url}/openapi.json   Parked messages: casestream dlt list   Lag: casestream group lag", highlight=False
    )
    return not problems


def _books(books: Books) -> Table:
    table = _table("The books", "line", "count", right=1)
    refused = sum(books.refused.values())
    for line, count in (
        ("distinct commands", books.commands),
        ("  = applied", books.applied),
        ("  + refused by the state machine", refused),
        ("  + parked (poison and what follows it)", books.parked_messages),
        ("deliveries", books.deliveries),
        ("  of them duplicates absorbed", books.duplicates),
        ("rows of the log that mean no action (unmapped)", sum(books.unmapped.values())),
        ("events read from the topic", books.seen.events),
        ("  of them sent again by the relay", books.seen.repeated),
        ("  out of order", books.seen.disorder),
    ):
        table.add_row(line, f"{count:,}")
    return table


def _refusals(books: Books) -> Table:
    table = _table("Refused: what people did and the state machine forbids", "action", "reason", "count", "oracle", right=2)
    for (action, reason), count in books.refused.most_common():
        table.add_row(action, reason, f"{count:,}", f"{books.expected.refused[action, reason]:,}")
    return table


def _parked(books: Books) -> Table:
    table = _table(
        "Parked: casestream dlt list --group work-items, then redrive or discard", "reason", "messages", "keys", right=1
    )
    for row in books.parked:
        table.add_row(cell(row["reason"]), cell(row["messages"]), cell(row["keys"]))
    return table


def _times(console: Console, books: Books) -> None:
    rate = books.commands / books.seconds if books.seconds else 0
    console.print(
        f"{books.commands:,} commands in {books.seconds:.1f} s ({rate:,.0f}/s), relay and a consumer killed on the way"
    )
    for child, seconds in books.kills.items():
        console.print(f"kill -9 {child}: another process after {seconds:.1f} s")
    if books.latency:
        lag = books.latency
        console.print(f"commit to table, at rest: p50 {lag.p50:.0f} ms, p99 {lag.p99:.0f} ms ({lag.probes} probes)")


def _answer(title: str, rows: list[asyncpg.Record]) -> Table:
    table = _table(title, *(rows[0].keys() if rows else ["nothing"]))
    for row in rows:
        table.add_row(*(cell(value) for value in row.values()))
    return table


def _table(title: str, *columns: str, right: int | None = None) -> Table:
    table = Table(title=title, title_justify="left", show_lines=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if right is not None and index >= right else "left")
    return table
