"""Steps recorded in one statement per batch: what calls came to and all that follows, in one round trip and one commit.

    1. the instances: as this process left them when it planned the calls (`Known` came with the lease), else read, not locked
    2. decide each outcome; what stays is what one statement can do: one outcome per instance, a flow whose row was read before,
       the next call, timers. All else is left to the general way (`folding`), which locks first
    3. `record_steps`: everything is written if every instance is at the version that was decided on and every call still the
       caller's, else nothing; then those that moved are left to the general way, and the others are tried again

The decider, the rows and the events are the same; only the order of looking and locking differs. Never begins a transaction:
the statement is one.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.effects.decisions import Finished
from domain.effects.effect import ClaimedEffect, Outcome
from domain.effects.store import finished_row, leased, planned_row
from domain.effects.wiring import Recorded, Taking
from domain.keys.guard import SPACE, buckets_of
from domain.onboarding import batch
from domain.onboarding.engine import Engine
from domain.onboarding.flow import Flow, FlowKey
from domain.onboarding.folded import from_json
from domain.onboarding.folding import message_of, secrets_of
from domain.onboarding.instance import Instance
from domain.onboarding.orders import ArmTimer, DisarmTimer, RunStep
from domain.onboarding.performing import effect_of, timers_of
from domain.onboarding.saving import Step, compose, ordered
from domain.onboarding.store import Case, Key, as_rows, case_rows, history_rows, passes_mark, queries
from domain.onboarding.turn import Decided
from domain.timers.commands import armed_row
from domain.timers.timer import Timer
from runtime.keys.ring import Subject
from runtime.sql import Connection


@dataclass(frozen=True, slots=True)
class Known:
    """An instance at a version that this process wrote or read; the database's time then, and this process's (monotonic)."""

    instance: Instance
    case: Case
    at: datetime
    seen: float

    def now(self) -> datetime:
        """The database's time by now; never later than it is, so that no event lies before the one that it follows."""
        return self.at + timedelta(seconds=time.monotonic() - self.seen)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A call that ended, with the decision that follows."""

    effect: ClaimedEffect
    outcome: Outcome
    step: Step


class StepRecording:
    """The recording of steps' owner (`Wiring.recordings`)."""

    def __init__(self, engine: Engine) -> None:
        self._outbox, self._keys, self._flows = engine.outbox, engine.keys, engine.flows

    async def __call__(self, conn: Connection, finished: Sequence[tuple[ClaimedEffect, Finished]], taking: Taking) -> Recorded:
        """Record what can be recorded so. `conn` is in no transaction; the calls are of one tenant."""
        of = Counter(effect.owner_id for effect, _ in finished)
        alone = [one for one in finished if of[one[0].owner_id] == 1 and one[0].kind in taking.kinds]
        ended = await self._decided(conn, alone)
        while ended:
            row, recorded = await self._write(conn, ended, taking)
            if not row["stale"]:
                return recorded
            ended = [one for one in ended if one.effect.owner_id not in row["stale"]]
        return Recorded()

    async def _decided(self, conn: Connection, finished: Sequence[tuple[ClaimedEffect, Finished]]) -> list[_Ended]:
        """Steps 1 and 2."""
        known = await _known(conn, [effect for effect, _ in finished])
        outcomes = [
            effect.outcome("succeeded" if verdict.succeeded else "failed", verdict.code, verdict.detail)
            for effect, verdict in finished
        ]
        secrets = await secrets_of(self._keys, outcomes)
        messages = [message_of(outcome, secrets) for outcome in outcomes]
        speaking = [known[one.key].instance for one in messages if one.says_something and one.key in known]
        keys = await self._keys.current([_subject(one) for one in speaking]) if speaking else {}
        ended = []
        for (effect, _), outcome, message in zip(finished, outcomes, messages, strict=True):
            there = known.get(message.key)
            flow = None if there is None else self._flow_of(there.instance)
            if there is None or flow is None or (message.says_something and _subject(there.instance) not in keys):
                continue
            followed = {(there.instance.tenant_id, flow.key): flow}
            around = batch.Surroundings(followed, keys, frozenset(), frozenset())
            ruling = batch.decide(batch.State(there.instance, there.case, around), message, there.now())
            if isinstance(ruling.outcome, Decided) and _is_plain(there.instance, ruling.outcome):
                ended.append(_Ended(effect, outcome, batch.step_of(ruling)))
        return ended

    def _flow_of(self, instance: Instance) -> Flow | None:
        return self._flows.pinned((instance.tenant_id, FlowKey(instance.flow, instance.flow_version)))

    async def _write(self, conn: Connection, ended: Sequence[_Ended], taking: Taking) -> tuple[Any, Recorded]:
        """Step 3. What was recorded counts only if nothing is stale."""
        steps = [one.step for one in ended]
        composed = await compose(self._keys, steps)
        wanted = ordered(steps, composed.cases, {})
        planned = [effect_of(one) for one in wanted if isinstance(one.order, RunStep)]
        # Each call that ended leaves its place to the one that follows it.
        taken = [effect for effect in planned if effect.kind in taking.kinds][: taking.most]
        ids = {effect.id for effect in taken}
        row = await queries.record_steps(
            conn,
            tenant_id=ended[0].effect.tenant_id,
            **_held(ended),
            calls=as_rows([{**_guard(one), **finished_row(one.effect, one.outcome)} for one in ended]),
            **history_rows(composed.written),
            cases=case_rows(composed.written),
            outbox=as_rows(self._outbox.documents(composed.events)),
            planned=as_rows([planned_row(effect, taken=effect.id in ids) for effect in planned]),
            **_timers(timers_of(wanted)),
            owner=taking.owner,
            life=taking.life,
        )
        seen, made = time.monotonic(), set(row["planned"] or ())
        after = {
            one.step.of: Known(one.step.instance, composed.cases.get(one.step.of, one.step.case), row["now"], seen)
            for one in ended
        }
        following = [leased(one, after[one.tenant_id, one.owner_id]) for one in taken if one.id in made]
        return row, Recorded([one.outcome for one in ended], following, len(following) < len(planned))


async def _known(conn: Connection, effects: Sequence[ClaimedEffect]) -> dict[Key, Known]:
    """Step 1: those of the calls' instances that there are."""
    found: dict[Key, Known] = {}
    unknown = []
    for effect in effects:
        if isinstance(effect.known, Known):
            found[effect.tenant_id, effect.owner_id] = effect.known
        else:
            unknown.append(effect)
    if unknown:
        tenant_id = unknown[0].tenant_id
        rows = await queries.read_instances(conn, tenant_id=tenant_id, ids=[effect.owner_id for effect in unknown])
        seen = time.monotonic()
        for row in rows:
            case = Case(row["case_version"] or 0, row["case_data"])
            found[tenant_id, row["instance_id"]] = Known(from_json(row["folded"].encode()), case, row["now"], seen)
    return found


def _is_plain(before: Instance, decided: Decided) -> bool:
    """Whether the statement can do all that was ordered. An undo needs what its forward step gave, a review a work item."""
    plain = all(
        isinstance(order, ArmTimer | DisarmTimer) or (isinstance(order, RunStep) and order.undoes is None)
        for order in decided.orders
    )
    return plain and not passes_mark(before, decided.instance)


def _subject(instance: Instance) -> Subject:
    return (instance.tenant_id, instance.user_id)


def _guard(one: _Ended) -> dict[str, Any]:
    """What must still be so when the outcome is written."""
    assert one.step.before is not None, "an outcome is of an instance that there is"
    return {"instance_id": one.effect.owner_id, "user_id": one.step.instance.user_id, "loaded": one.step.before.version}


def _held(ended: Sequence[_Ended]) -> dict[str, Any]:
    """Subjects whose words are sealed now, or travel on with the next call: none of them may be shredded meanwhile."""
    subjects = {one.step.subject for one in ended if one.step.key is not None or one.step.case.sealed is not None}
    return {"space": SPACE, "buckets": buckets_of(subjects), "subjects": sorted(user for _, user in subjects)}


def _timers(last: Mapping[Key, Timer | None]) -> dict[str, Any]:
    return {
        "armed": as_rows([armed_row(timer) for timer in last.values() if timer is not None]),
        "disarmed": [key for (_, key), timer in last.items() if timer is None],
    }
