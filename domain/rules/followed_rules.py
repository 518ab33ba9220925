"""The active rules of the tenants that a process deals with, compiled once and followed from then on (trap 39).

Every change of a rule draws the next number of its tenant (workflow_rule_sets). A batch asks the numbers of its tenants, and
where one has risen it reads what changed since: so a rule is in force with the next batch, in every process, and the price
of a batch without changes is one small look-up. A rule that cannot be compiled is quarantined: left out, with an incident.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from domain.incidents import Incident, open_incidents
from domain.rules.calendar import Calendar
from domain.rules.calendars import read_calendars
from domain.rules.compiling import CompiledRule, RuleBroken, compile_rule
from domain.rules.index import RuleIndex
from domain.rules.matching import ActiveRule, RuleBook
from runtime.sql import Connection, load_queries
from schemas.rules import RuleDefinition, TriggerType

queries = load_queries(__file__, "store.sql")


class FollowedRules:
    """The compiled rules of one process. Tenants are read when they are first asked for."""

    def __init__(self) -> None:
        self._generations: dict[str, int] = {}
        self._rules: dict[tuple[str, str], ActiveRule] = {}
        self._index = RuleIndex()
        self._dated: dict[tuple[str, str], dict[str, CompiledRule]] = {}

    async def read(self, conn: Connection, tenants: Collection[str]) -> RuleBook:
        """The active rules, those of these tenants as they are now."""
        rows = await queries.list_generations(conn, tenant_ids=sorted(tenants))
        newer = [row for row in rows if row["generation"] != self._generations.get(row["tenant_id"])]
        if newer:
            calendars = await read_calendars(conn, [row["tenant_id"] for row in newer])
            for row in newer:
                await self._update(conn, row["tenant_id"], row["generation"], calendars.get(row["tenant_id"], Calendar()))
        return self.book

    @property
    def book(self) -> RuleBook:
        """The active rules as they were read last."""
        return RuleBook(self._rules, self._index, self._dated)

    async def _update(self, conn: Connection, tenant: str, generation: int, calendar: Calendar) -> None:
        """Read what changed since the last look. A restored database may be behind what we know: then all of it."""
        known = self._generations.get(tenant, 0)
        if generation < known:
            for _, rule_id in [key for key in self._rules if key[0] == tenant]:
                self._forget(tenant, rule_id)
            known = 0
        broken = list[Incident]()
        for row in await queries.list_changed(conn, tenant_id=tenant, after=known):
            self._forget(tenant, row["id"])
            if row["is_active"]:
                try:
                    self._take(_compiled(tenant, row, calendar))
                except (RuleBroken, ValidationError) as error:
                    broken.append(_quarantined(tenant, row, error))
        await open_incidents(conn, broken)
        self._generations[tenant] = generation

    def _take(self, active: ActiveRule) -> None:
        rule = active.rule
        self._rules[rule.tenant_id, rule.rule_id] = active
        self._index.add(rule)
        if rule.definition.trigger_type is TriggerType.ON_DATE_FIELD:
            self._dated.setdefault((rule.tenant_id, rule.definition.entity_type), {})[rule.rule_id] = rule

    def _forget(self, tenant: str, rule_id: str) -> None:
        known = self._rules.pop((tenant, rule_id), None)
        self._index.remove(tenant, rule_id)
        if known is not None:
            self._dated.get((tenant, known.rule.definition.entity_type), {}).pop(rule_id, None)


def _compiled(tenant: str, row: Mapping[str, Any], calendar: Calendar) -> ActiveRule:
    definition = RuleDefinition.model_validate_json(row["definition"])
    age = int(row["created_at"].timestamp() * 1_000_000)
    rule = compile_rule(tenant, row["id"], row["version"], definition, created_order=age, zone=calendar.zone)
    return ActiveRule(rule, row["active_since"])


def _quarantined(tenant: str, row: Mapping[str, Any], error: Exception) -> Incident:
    return Incident(
        tenant_id=tenant,
        kind="rule-quarantined",
        fingerprint=f"rule-quarantined|{type(error).__name__}",
        object_type="rule",
        object_id=row["id"],
        summary="a stored rule does not pass this release's checks: it does not fire until it is saved anew",
        cure=f"casestream rule lint {row['id']}; then save it with what is named mended",
        detail={"version": row["version"]},
    )
