"""The active rules of the tenants that a process deals with, compiled once and followed from then on (trap 39).

Every change of a rule draws the next number of its tenant (workflow_rule_sets). A batch asks the numbers of its tenants, and
where one has risen it reads what changed since: so a rule is in force with the next batch, in every process, and the price
of a batch without changes is one small look-up. The look-up also tells the tenant's calendar: where its zone has changed, all
of its rules are read anew. A rule that cannot be compiled is quarantined: left out, with an incident.

The look-up runs in the batch's transaction, which may be rolled back, while what was read stays in memory. So the incident of
a quarantined rule stays open in memory too, until the transaction that told it is known to have committed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from pydantic import ValidationError

from domain.incidents import Incident, open_incidents
from domain.rules.calendar import Calendar
from domain.rules.calendars import calendar_of_row
from domain.rules.compiling import CompiledRule, RuleBroken, compile_rule
from domain.rules.index import RuleIndex
from domain.rules.matching import ActiveRule, RuleBook
from runtime.sql import Connection, load_queries
from schemas.rules import RuleDefinition, TriggerType

queries = load_queries(__file__, "store.sql")
# Rules are read page by page: between two, the process answers its broker and the transaction is not idle.
PAGE = 200
# What rules say takes several times the memory of their functions, and is asked of rules that match: so many are kept parsed.
_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class _Told:
    """The incident of a quarantined rule, and the transaction that opened it."""

    incident: Incident
    xid: int = 0


class FollowedRules:
    """The compiled rules of one process. Tenants are read when they are first asked for."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str]] = {}
        self._quarantined: dict[tuple[str, str], _Told] = {}
        self._rules: dict[tuple[str, str], ActiveRule] = {}
        self._index = RuleIndex()
        self._dated: dict[tuple[str, str], dict[str, CompiledRule]] = {}
        self._youngest: dict[str, datetime] = {}

    async def read(self, conn: Connection, tenants: Collection[str]) -> RuleBook:
        """The active rules, those of these tenants as they are now."""
        rows = await queries.list_generations(conn, tenant_ids=sorted(tenants))
        calendars = {row["tenant_id"]: calendar_of_row(row) for row in rows}
        for row in rows:
            if (row["generation"], row["zone"]) != self._known.get(row["tenant_id"]):
                await self._update(conn, row, calendars[row["tenant_id"]])
        if self._quarantined:
            await self._tell(conn, tenants)
        return replace(self.book, calendars=calendars)

    @property
    def book(self) -> RuleBook:
        """The active rules as they were read last."""
        return RuleBook(self._rules, self._index, self._dated, self._youngest)

    async def _update(self, conn: Connection, row: Mapping[str, Any], calendar: Calendar) -> None:
        """Read what changed since the last look. All of it where the zone did, and where a restored database is behind us."""
        tenant, generation, zone = row["tenant_id"], row["generation"], row["zone"]
        known, known_zone = self._known.get(tenant, (0, zone))
        if generation < known or zone != known_zone:
            for _, rule_id in [key for key in (*self._rules, *self._quarantined) if key[0] == tenant]:
                self._forget(tenant, rule_id)
            known = 0
        while page := await queries.list_changed(conn, tenant_id=tenant, after=known, most=PAGE):
            for changed in page:
                self._follow(tenant, changed, calendar)
            # A batch that ends here leaves what was read: the next one goes on behind it.
            known = page[-1]["generation"]
            self._known[tenant] = (known, zone)
        self._known[tenant] = (generation, zone)

    def _follow(self, tenant: str, row: Mapping[str, Any], calendar: Calendar) -> None:
        self._forget(tenant, row["id"])
        if row["is_active"]:
            try:
                self._take(active_rule(tenant, row, calendar))
            except (RuleBroken, ValidationError) as error:
                self._quarantined[tenant, row["id"]] = _Told(_quarantined(tenant, row, error))

    async def _tell(self, conn: Connection, tenants: Collection[str]) -> None:
        """Open the incidents that no committed transaction has opened yet; those of other tenants wait for their next batch."""
        now = await queries.read_transaction(conn, told=list({told.xid for told in self._quarantined.values() if told.xid}))
        committed = set(now["committed"])
        self._quarantined = {key: told for key, told in self._quarantined.items() if told.xid not in committed}
        due = {key: told for key, told in self._quarantined.items() if key[0] in tenants and told.xid != now["xid"]}
        await open_incidents(conn, [told.incident for told in due.values()])
        self._quarantined |= {key: _Told(told.incident, now["xid"]) for key, told in due.items()}

    def _take(self, active: ActiveRule) -> None:
        rule = active.rule
        self._rules[rule.tenant_id, rule.rule_id] = active
        self._index.add(rule)
        self._youngest[rule.tenant_id] = max(active.active_since, self._youngest.get(rule.tenant_id, active.active_since))
        if rule.trigger is TriggerType.ON_DATE_FIELD:
            self._dated.setdefault((rule.tenant_id, rule.entity_type), {})[rule.rule_id] = rule

    def _forget(self, tenant: str, rule_id: str) -> None:
        self._quarantined.pop((tenant, rule_id), None)
        known = self._rules.pop((tenant, rule_id), None)
        self._index.remove(tenant, rule_id)
        if known is not None:
            self._dated.get((tenant, known.rule.entity_type), {}).pop(rule_id, None)


def active_rule(tenant: str, row: Mapping[str, Any], calendar: Calendar) -> ActiveRule:
    """A stored rule, compiled. Of what it says only the text is kept; it is read again when the rule matches."""
    text = row["definition"]
    rule = compile_rule(
        tenant,
        row["id"],
        row["version"],
        RuleDefinition.model_validate_json(text),
        created_order=int(row["created_at"].timestamp() * 1_000_000),
        zone=calendar.zone,
        read=partial(_read, text),
    )
    return ActiveRule(rule, row["active_since"])


@lru_cache(maxsize=_KEPT)
def _read(text: str) -> RuleDefinition:
    return RuleDefinition.model_validate_json(text)


def _quarantined(tenant: str, row: Mapping[str, Any], error: Exception) -> Incident:
    return Incident(
        tenant_id=tenant,
        kind="rule-quarantined",
        fingerprint=f"rule-quarantined|{type(error).__name__}",
        object_type="rule",
        object_id=row["id"],
        summary="a stored rule does not pass this release's checks: it does not fire until it is saved anew",
        cure=f"casestream rule export --tenant {tenant} > rules.yaml; casestream rule lint rules.yaml; mend it and import it",
        detail={"version": row["version"], "problems": _named(error)},
    )


def _named(error: Exception) -> list[str]:
    """Where and which, without what the rule says there."""
    return [f"{problem.pointer} {problem.code}" for problem in error.problems] if isinstance(error, RuleBroken) else []
