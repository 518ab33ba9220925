"""`casestream rule test | simulate | explain`: what a rule would do, and why it did or not. Nothing is written (trap 42)."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import ValidationError

from domain.rules import asking, reads
from domain.rules.change import Change, change_of
from domain.rules.store import StoredRule
from runtime.cli import output
from runtime.cli.rule import app
from runtime.cli.rule_access import InLanguage, OfTenant, WhichRule, language_of, rule_of, within
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.entities import EntityChangeEvent
from schemas.errors import ConfigurationError

EventFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON: an event, or the parts that matter.")]
_EXAMPLES = 20


@app.command("test")
def try_rule(which: WhichRule, file: EventFile, tenant: OfTenant, lang: InLanguage = "en") -> None:
    """Try a rule on one change: what each condition sees, and what the actions would ask for."""
    language, told = language_of(lang), _read(file)

    async def work(conn: Connection, _: Settings) -> Mapping[str, Any]:
        rule, now = await rule_of(conn, tenant, which), await _now(conn)
        change = _change(rule, told, now)
        return asking.trial_row(await asking.trial_of(conn, await reads.compiled(conn, rule), change, now), change, language)

    output.show_record(within(tenant, work))


@app.command("simulate")
def simulate(
    which: WhichRule,
    tenant: OfTenant,
    most: Annotated[int, typer.Option(min=1, max=2_000, help="Look at so many entities.")] = 500,
    lang: InLanguage = "en",
) -> None:
    """Try a rule on its entities as they are: for how many it would fire, with examples."""
    language = language_of(lang)

    async def work(conn: Connection, _: Settings) -> dict[str, Any]:
        rule, now = await reads.compiled(conn, await rule_of(conn, tenant, which)), await _now(conn)
        changes = await asking.as_they_are(conn, rule, now, most)
        trials = list(zip(changes, await asking.trials_of(conn, rule, changes, now), strict=True))
        firing = [asking.trial_row(trial, change, language) for change, trial in trials if trial.fires]
        return {"lookedAt": len(trials), "fires": len(firing), "examples": firing[:_EXAMPLES]}

    output.show_record(within(tenant, work))


@app.command("explain")
def explain(
    which: WhichRule,
    file: EventFile,
    tenant: OfTenant,
    source: Annotated[str | None, typer.Option(help="The event's source; with its id its run is found.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Ask this version, not the one of the event's time.")] = None,
    lang: InLanguage = "en",
) -> None:
    """Why did a rule fire, or not, for this event? Answered with the version of the event's time."""
    language, told = language_of(lang), _read(file)

    async def work(conn: Connection, _: Settings) -> dict[str, Any]:
        rule = await rule_of(conn, tenant, which)
        change = _change(rule, told, await _now(conn))
        answer = await asking.why(conn, rule, change, version=version, source=source, event_id=told.get("eventId"))
        return {
            "verdict": answer.verdict.sentence(language),
            "version": answer.version.version,
            "runId": answer.run_id,
            **asking.trial_row(answer.trial, change, language),
        }

    output.show_record(within(tenant, work))


def _read(file: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError:
        raise ConfigurationError([f"{file}: no JSON"]) from None
    if not isinstance(found, dict):
        raise ConfigurationError([f"{file}: expected a JSON object"])
    return found


def _change(rule: StoredRule, told: Mapping[str, Any], now: datetime) -> Change:
    """What the file leaves out is filled in: an UPDATE, now, of an entity of the rule's type."""
    for name, ours in (("entityType", rule.definition.entity_type), ("tenantId", rule.tenant_id)):
        if told.get(name, ours) != ours:
            raise ConfigurationError([f"/{name}: the rule is for {ours}, the event is not"])
    filled = {
        "eventId": "sample",
        "entityId": "sample",
        "entityType": rule.definition.entity_type,
        "changeType": "UPDATE",
        "timestamp": now.isoformat(),
        **told,
        "tenantId": rule.tenant_id,
    }
    try:
        event = EntityChangeEvent.model_validate_json(orjson.dumps(filled))
    except ValidationError as error:
        raise ConfigurationError([f"/{'/'.join(map(str, one['loc']))}: {one['type']}" for one in error.errors()]) from None
    return change_of(event)


async def _now(conn: Connection) -> datetime:
    now: datetime = await conn.fetchval("select cs_now()")
    return now
