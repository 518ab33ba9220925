"""`casestream rule test | simulate`: what a rule would do. Nothing is written (trap 42)."""

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
from runtime.cli.rule import app
from runtime.cli.rule_access import InLanguage, OfTenant, WhichRule, language_of, rule_of, within
from runtime.cli.rule_words import show_answer, show_simulation
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.entities import EntityChangeEvent
from schemas.errors import ConfigurationError

EventFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON: an event, or the parts that matter.")]
_EXAMPLES = 20


@app.command("test")
def try_rule(which: WhichRule, file: EventFile, tenant: OfTenant, lang: InLanguage = "en") -> None:
    """Try a rule on one change: what each condition sees, and what the actions would ask for."""
    language, told = language_of(lang), read_event(file)

    async def work(conn: Connection, _: Settings) -> Mapping[str, Any]:
        rule, now = await rule_of(conn, tenant, which), await now_of(conn)
        change = change_in(rule, told, now)
        return asking.trial_row(await asking.trial_of(conn, await reads.compiled(conn, rule), change, now), change, language)

    show_answer(within(tenant, work))


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
        rule, now = await reads.compiled(conn, await rule_of(conn, tenant, which)), await now_of(conn)
        changes = await asking.as_they_are(conn, rule, now, most)
        trials = list(zip(changes, await asking.trials_of(conn, rule, changes, now), strict=True))
        firing = [asking.trial_row(trial, change, language) for change, trial in trials if trial.fires]
        return {"lookedAt": len(trials), "fires": len(firing), "examples": firing[:_EXAMPLES]}

    show_simulation(within(tenant, work))


def read_event(file: Path) -> dict[str, Any]:
    """The file's JSON object. Raises ConfigurationError."""
    try:
        found = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError:
        raise ConfigurationError([f"{file}: no JSON"]) from None
    if not isinstance(found, dict):
        raise ConfigurationError([f"{file}: expected a JSON object"])
    return found


def change_in(rule: StoredRule, told: Mapping[str, Any], now: datetime) -> Change:
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


async def now_of(conn: Connection) -> datetime:
    """The database's time."""
    now: datetime = await conn.fetchval("select cs_now()")
    return now
