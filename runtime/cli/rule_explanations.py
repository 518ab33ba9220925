"""`casestream rule explain`: why a rule fired or did not, for an event that is named or in a file, and for a run."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.rules import asking, reads, sought
from domain.rules.problems import Language
from domain.rules.sought import TOPIC, Sought, Told, told_by
from runtime.cli import operating
from runtime.cli.rule import app
from runtime.cli.rule_access import InLanguage, OfTenant, WhichRule, editor, is_id, language_of, rule_of, within
from runtime.cli.rule_trials import change_in, now_of, read_event
from runtime.cli.rule_words import show_answer
from runtime.settings import Settings
from runtime.sql import Connection
from runtime.topic_search import Bounds, Search, search
from schemas.errors import ConfigurationError, NotFound

_Event = Annotated[str | None, typer.Option("--event", metavar="ID", help="The event's id; it is looked for in the topic.")]
_Entity = Annotated[str | None, typer.Option("--entity", metavar="ID", help="Its entity's id: then one partition is read.")]
_At = Annotated[datetime | None, typer.Option("--at", help="About when it was sent, in UTC, if known.")]
_Reason = Annotated[str | None, typer.Option(help="Why you read the event; it goes to the audit log with your name.")]
_File = Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="JSON: an event, or the parts that matter.")]
Row = Mapping[str, Any]


@app.command("explain")
def explain(
    which: WhichRule,
    tenant: OfTenant,
    file: _File = None,
    event: _Event = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="A run's id, as `rule runs` shows it.")] = None,
    source: Annotated[str | None, typer.Option(help="The event's source; with its id its run is found.")] = None,
    entity: _Entity = None,
    at: _At = None,
    reason: _Reason = None,
    version: Annotated[int | None, typer.Option(min=1, help="Ask this version, not the one of the event's time.")] = None,
    lang: InLanguage = "en",
) -> None:
    """Why did a rule fire, or not? For an event in a file or in the topic, with the version of its time, or for a run."""
    if sum(one is not None for one in (file, event, run)) != 1:
        raise ConfigurationError(["FILE, --event, --run: say one of them"])
    language = language_of(lang)
    if run is not None:
        show_answer(_of_run(which, tenant, run, language))
    elif file is not None:
        show_answer(_of_file(which, tenant, file, source, version, language))
    else:
        assert event is not None
        if not (reason or "").strip():
            raise ConfigurationError(["--reason: say why you read the event; it goes to the audit log"])
        around = at.replace(tzinfo=UTC) if at is not None else None
        named = (event, source, entity, around)
        show_answer(_of_event(which, tenant, named, str(reason), version, language))


def _of_run(which: str, tenant: str, run_id: str, language: Language) -> Row:
    async def work(conn: Connection, _: Settings) -> Row:
        rule = await rule_of(conn, tenant, which)
        run = await reads.find_run(conn, tenant, rule.id, run_id) if is_id(run_id) else None
        if run is None:
            raise NotFound(f"the rule has no run {run_id}; see `casestream rule runs`")
        return await asking.why_run(conn, rule, run, language)

    return within(tenant, work)


def _of_file(which: str, tenant: str, file: Path, source: str | None, version: int | None, language: Language) -> Row:
    told = read_event(file)

    async def work(conn: Connection, _: Settings) -> Row:
        rule = await rule_of(conn, tenant, which)
        change = change_in(rule, told, await now_of(conn))
        answer = await asking.why(conn, rule, change, version=version, source=source, event_id=told.get("eventId"))
        return asking.answer_row(answer, change, language)

    return within(tenant, work)


def _of_event(
    which: str,
    tenant: str,
    named: tuple[str, str | None, str | None, datetime | None],
    reason: str,
    version: int | None,
    language: Language,
) -> Row:
    async def begin(conn: Connection, settings: Settings) -> tuple[Sought, Bounds]:
        rule = await rule_of(conn, tenant, which)
        wanted = Sought(tenant, rule.definition.entity_type, *named)
        await sought.begin(conn, editor(tenant), rule.id, wanted, reason)
        since, until = await sought.window(conn, wanted)
        return wanted, Bounds(settings.rules.search_records, settings.rules.search_seconds, wanted.key, since, until)

    wanted, bounds = within(tenant, begin, reading=False)
    found = asyncio.run(_look(wanted, bounds))
    if found.found is None:
        raise NotFound(sought.not_found(wanted, found.looked_at, complete=found.complete).message)
    event = found.found

    async def judge(conn: Connection, _: Settings) -> Row:
        if refused := await sought.erased(conn, event):
            raise operating.refuse(refused)
        answer = await asking.why_named(conn, await rule_of(conn, tenant, which), event, version=version)
        return asking.answer_row(answer, event.change, language)

    return within(tenant, judge)


async def _look(wanted: Sought, bounds: Bounds) -> Search[Told]:
    def accept(record: Any) -> Told | None:
        return told_by(record.value, record.headers, record.timestamp, wanted)

    return await search(Settings.load(), TOPIC, accept, bounds)
