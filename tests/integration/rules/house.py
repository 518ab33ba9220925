"""Rules, events that meet them, and what became of both: what the tests of this folder speak in."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.effects.wiring import DELAY, Wiring, perform_delay
from domain.notifications.performing import KIND as NOTIFICATION
from domain.notifications.performing import notify
from domain.outbox import Outbox
from domain.rules import batch
from domain.rules.change import Change
from domain.rules.commands import Saved, Wish, create_rule, replace_rule
from domain.rules.folding import RunFold
from domain.rules.followed_rules import FollowedRules
from domain.rules.matching import Direct, Occasion
from domain.rules.performing import Performer
from domain.rules.round_robin import hold
from domain.rules.sampling import SkipSamples
from domain.rules.starting import OWNER
from schemas.rules import TriggerType
from tests.integration.domain.world import World, caller

OUTBOX = Outbox("casestream.rules")
WIRING = Wiring(
    {OWNER: RunFold(OUTBOX)}, {OWNER: hold}, {DELAY: perform_delay, NOTIFICATION: notify, **Performer(OUTBOX).kinds}
)
EDITOR = caller("rule-editor")


class House:
    """A database with people, its rules and one process that follows them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rules = FollowedRules()
        self.samples = SkipSamples(0)

    async def rule(self, *actions: Mapping[str, Any], **told: Any) -> str:
        """A rule of tenant north; its id."""
        document = {"name": "A rule", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": list(actions), **told}
        async with self.world.api() as conn:
            saved = await create_rule(conn, EDITOR, document, Wish(), most=1_000)
        assert isinstance(saved, Saved), saved
        return saved.rule.id

    async def change_rule(self, rule_id: str, document: Mapping[str, Any]) -> Saved:
        async with self.world.api() as conn:
            saved = await replace_rule(conn, EDITOR, rule_id, document, Wish(), None)
        assert isinstance(saved, Saved), saved
        return saved

    async def meet(self, *occasions: Occasion) -> list[batch.Ruling]:
        """What a shell does with one batch, inside its transaction."""
        async with self.world.worker() as conn:
            now: datetime = await conn.fetchval("select cs_now()")
            states: dict[batch.Key, batch.State | None] = {**await batch.load(conn, self.rules, occasions)}
            rulings = []
            for one in occasions:
                states[one.key], ruling = batch.decide(states[one.key], one, now)
                rulings.append(ruling)
            samples = self.samples.choose(self.rules.book, [(one.occasion, one.skipped) for one in rulings], now)
            await batch.save(conn, OUTBOX, WIRING, rulings, samples)
        return rulings

    async def runs(self) -> list[dict[str, Any]]:
        """Every run, in the order in which they began."""
        return await self.world.look(
            "select * from workflow_execution_logs where status <> 'SKIPPED' order by started_at, rule_name, id"
        )

    async def held(self) -> list[str]:
        """Why rules that matched did not run."""
        rows = await self.world.look("select error_message from workflow_execution_logs where status = 'SKIPPED'")
        return [row["error_message"] for row in rows]

    async def effects(self) -> list[tuple[str, str]]:
        """Kind and state of every effect, by run and place."""
        rows = await self.world.look("select kind, state from effects order by owner_id, action_index")
        return [(row["kind"], row["state"]) for row in rows]

    async def sent(self, event_type: str) -> list[dict[str, Any]]:
        """Outbox rows of a type."""
        return await self.world.look("select * from outbox_events where event_type = $1 order by id", event_type)

    async def statistics(self, rule_id: str) -> tuple[int, int, int]:
        """Executions, successes, failures."""
        (row,) = await self.world.look(
            "select sum(executions)::int as a, sum(successes)::int as b, sum(failures)::int as c from workflow_rule_deltas"
            " where rule_id = $1::uuid", rule_id)  # fmt: skip
        return (row["a"] or 0, row["b"] or 0, row["c"] or 0)


def event(
    named: str,
    /,
    entity_id: str = "42",
    old: Mapping[str, Any] | None = None,
    causation: Sequence[str] = (),
    sent_at: datetime | None = None,
    **new: Any,
) -> Occasion:
    """An UPDATE of a lead, sent now."""
    at = sent_at or datetime.now(UTC) + timedelta(seconds=1)
    change = Change("north", "LEAD", entity_id, "UPDATE", old, new, (), "API", tuple(causation), at, named)
    return Occasion(change, f"event|crm|{named}", f"LEAD/{entity_id}", at)


def order(rule_id: str, occurrence: str, entity_id: str = "42", **new: Any) -> Occasion:
    """An order to start one rule."""
    at = datetime.now(UTC) + timedelta(seconds=1)
    change = Change("north", "LEAD", entity_id, "UPDATE", None, new, (), "WORKFLOW", (), at, occurrence)
    return Occasion(change, occurrence, f"LEAD/{entity_id}", at, Direct(rule_id, TriggerType.SCHEDULED, False))


def action(kind: str, configuration: Mapping[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"actionType": kind, "configuration": dict(configuration), **attributes}


UPDATE = action("UPDATE_FIELD", {"fieldName": "leadStatus", "value": "CONTACTED"})
TASK = action("CREATE_TASK", {"subject": "Follow up with {{name}}", "dueDateOffset": 2})
HOOK = action("CALL_WEBHOOK", {"url": "https://example.com/hook", "bodyTemplate": {"id": "{{id}}"}})
