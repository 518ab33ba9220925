"""Which of the names that a rule mentions its tenant has. Only what is mentioned is looked up."""

from domain.message_templates.reads import find_templates
from domain.message_templates.wording import variables_of
from domain.rules.calendar import Calendar
from domain.rules.calendars import read_calendars
from domain.rules.known import KnownNames, Named
from domain.secrets.reads import known_secrets
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)


async def read_known(conn: Connection, tenant_id: str, mentioned: Named) -> KnownNames:
    """What there is of what was mentioned."""
    rows = await queries.list_known(
        conn,
        tenant_id=tenant_id,
        users=sorted(mentioned.users),
        teams=sorted(mentioned.teams),
        rules=sorted(mentioned.rules),
    )
    found: dict[str, set[str]] = {"user": set(), "team": set(), "rule": set()}
    for row in rows:
        found[row["kind"]].add(row["name"])
    templates = await find_templates(conn, tenant_id, [(template_id, None) for template_id in mentioned.templates])
    return KnownNames(
        templates={template_id: frozenset(variables_of(one.wording)) for (template_id, _), one in templates.items()},
        users=frozenset(found["user"]),
        teams=frozenset(found["team"]),
        rules=frozenset(found["rule"]),
        secrets=frozenset(await known_secrets(conn, tenant_id, mentioned.secrets)),
    )


async def calendar_of(conn: Connection, tenant_id: str) -> Calendar:
    """The tenant's zone and holidays; UTC for one that the directory does not know."""
    return (await read_calendars(conn, [tenant_id])).get(tenant_id, Calendar())
