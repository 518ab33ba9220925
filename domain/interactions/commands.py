"""What a front end, and the engine's callback, may do: start, submit a step, tell that a step ended. The caller's transaction.

    1. the caller holds the subject, then calls; the interaction is read without a lock
    2. what the front end says is judged: whose it is, what he saw, which step, which action, the data against the pinned schema
    3. the engine gets one command, for exactly the version that was judged; who moved it meanwhile wins, and 2 begins again

Status has one owner, the instance: nothing here writes it. The mapping row is written in the transaction that begins the
instance, so there is no orphan, and no callback comes before its row (trap 74).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.audit import append
from domain.interactions import reads, refusals
from domain.interactions.interaction import ENDED, Interaction, Tag, actions, step_name
from domain.onboarding.asking import answered, fault_of
from domain.onboarding.case_checking import problems_of
from domain.onboarding.case_definitions import START, CaseDefinition, find_case_definition
from domain.onboarding.commands import give
from domain.onboarding.completing import complete, find_call
from domain.onboarding.engine import Engine
from domain.onboarding.flow import Flow, FlowKey
from domain.onboarding.refusals import no_such_call
from domain.onboarding.store import begin_case
from domain.onboarding.turn import Decided
from runtime.ids import uuid7
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.onboarding import Advance, StartInstance
from schemas.steps import StepReplied

OBJECT = "interaction"
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Begun:
    """An interaction with what its answer needs."""

    interaction: Interaction
    flow: Flow
    definition: CaseDefinition | None

    @property
    def step(self) -> str:
        return step_name(self.flow, self.interaction.state)


@dataclass(frozen=True, slots=True)
class Submission:
    """What a front end submits. `seen` None: it does not say what it saw; `unknown_tag`: it saw something else than ours."""

    step: str
    action: str
    data: Mapping[str, Any] | None = field(default=None, repr=False)
    seen: Tag | None = None
    unknown_tag: bool = False


async def find_mine(conn: Connection, engine: Engine, caller: Caller, interaction_id: str) -> Begun | Rejected:
    """The caller's own interaction; anybody else's is not found (IN-14)."""
    found = await _find(conn, engine, caller.tenant_id, interaction_id)
    if found is None or found.interaction.user_id != caller.user_id:
        return refusals.not_found(interaction_id)
    return found


async def start(
    conn: Connection, engine: Engine, caller: Caller, flow_name: str, data: Mapping[str, Any] | None
) -> Begun | Rejected:
    """Begin a journey of the caller's own, with its case and its mapping row (IN-3)."""
    version = await engine.flows.newest(conn, caller.tenant_id, flow_name)
    flow = None if version is None else await _flow(conn, engine, caller.tenant_id, flow_name, version)
    if flow is None or version is None:
        return refusals.unknown_flow(flow_name)
    definition = await find_case_definition(conn, caller.tenant_id, flow.definition)
    part = START if definition is not None and START in definition.parts else None
    if (refused := _judge(definition, part, data)) is not None:
        return refused
    interaction_id, instance_id = str(uuid7()), str(uuid7())
    command = StartInstance(
        instance_id=instance_id, flow=flow_name, flow_version=version, user_id=caller.user_id, data=dict(data) if data else None
    )
    outcome = await give(conn, engine, caller, command)
    if isinstance(outcome, Rejected):
        return refusals.erased() if outcome.code == "SubjectErased" else refusals.may_not_start()
    await reads.queries.insert_interaction(
        conn, tenant_id=caller.tenant_id, interaction_id=interaction_id, instance_id=instance_id, user_id=caller.user_id
    )
    if not data:
        await begin_case(conn, caller.tenant_id, instance_id, caller.user_id)
    begun = await _find(conn, engine, caller.tenant_id, interaction_id)
    assert begun is not None, "it was written in this transaction"
    await record(conn, caller, begun, "start", data or {})
    return begun


async def submit(conn: Connection, engine: Engine, caller: Caller, interaction_id: str, said: Submission) -> Begun | Rejected:
    """Submit a step of the caller's own interaction (IN-4)."""
    for _ in range(_TRIES):
        begun = await find_mine(conn, engine, caller, interaction_id)
        if isinstance(begun, Rejected):
            return begun
        refused = await _may_not_submit(conn, engine, begun, said)
        if refused is not None:
            return refused
        command = Advance(
            instance_id=begun.interaction.instance_id,
            action=said.action,
            expected_version=begun.interaction.version,
            data=None if said.data is None else dict(said.data),
        )
        outcome = await give(conn, engine, caller, command)
        if not isinstance(outcome, Rejected):
            await record(conn, caller, begun, "submit", said.data or {})
            return (await _find(conn, engine, caller.tenant_id, interaction_id)) or begun
        # Decided on what is there no longer: whoever moved it was first, and it is judged again as it is now.
    return refusals.moved(interaction_id)


async def notice(
    conn: Connection, engine: Engine, caller: Caller, interaction_id: str, effect_id: UUID | None, ended: Mapping[str, Any]
) -> tuple[Begun, bool] | Rejected:
    """S0's notifyInteraction: the engine tells that a backend step ended (IN-5). Whether it changed anything.

    With `effect_id` it ends that call, once. Without, there is nothing to change: the status is the instance's own.
    """
    begun = await _find(conn, engine, caller.tenant_id, interaction_id)
    if begun is None:
        return refusals.not_found(interaction_id)
    if effect_id is None:
        return begun, False
    call = await find_call(conn, caller.tenant_id, effect_id)
    if isinstance(call, Rejected):
        return call
    if call.instance_id != begun.interaction.instance_id:
        return no_such_call(effect_id)
    outcome = await complete(conn, engine, caller, answered(StepReplied.model_validate({**call.named(), **ended})))
    if isinstance(outcome, Rejected):
        return no_such_call(effect_id)
    return (await _find(conn, engine, caller.tenant_id, interaction_id)) or begun, isinstance(outcome, Decided)


async def record(conn: Connection, caller: Caller, begun: Begun, deed: str, data: Mapping[str, Any]) -> None:
    """Who viewed or changed which data, to the audit log (IN-12): names of fields, never a value."""
    known = begun.definition.schema.get("properties", {}).keys() if begun.definition is not None else frozenset[str]()
    await append(
        conn,
        tenant_id=caller.tenant_id,
        actor=caller.user_id,
        action=f"{OBJECT}.{deed}",
        object_type=OBJECT,
        object_id=begun.interaction.id,
        detail={
            "subject": begun.interaction.user_id,
            "step": begun.step,
            # What the definition does not know may be somebody's own words.
            "fields": sorted(data.keys() & known),
            "case": begun.interaction.case_version,
        },
    )


async def _may_not_submit(conn: Connection, engine: Engine, begun: Begun, said: Submission) -> Rejected | None:
    interaction, step = begun.interaction, begun.step
    if said.unknown_tag:
        return refusals.stale(interaction, step, ())
    if said.seen is not None and not said.seen.same_as(interaction.tag):
        changed = await reads.changed_since(conn, engine.keys, interaction, begun.definition, said.seen)
        return refusals.stale(interaction, step, changed)
    if interaction.status in ENDED or interaction.status == "CLOSING":
        return refusals.ended(interaction, step)
    allowed = actions(begun.flow, interaction)
    if said.step != step:
        return refusals.other_step(interaction, step, allowed)
    if interaction.status != "AWAITING_INPUT":
        return refusals.busy(interaction, step)
    if said.action not in allowed:
        return refusals.no_such_action(interaction, step, allowed)
    return _judge(begun.definition, begun.flow.moves[interaction.state, said.action].data_schema, said.data)


def _judge(definition: CaseDefinition | None, part: str | None, data: Mapping[str, Any] | None) -> Rejected | None:
    """Whether the data fits. A step that needs data is not left out by saying nothing."""
    if data is None and (definition is None or part is None):
        return None
    if definition is None or (part is not None and part not in definition.parts):
        return refusals.takes_no_data() if data else None
    found = problems_of(definition, part, data or {})
    if found:
        return refusals.data_refused(
            [{"pointer": pointer(one.place), "code": one.code, "message": one.message} for one in found]
        )
    if data is not None and fault_of(dict(data)) is not None:
        return refusals.data_refused([{"pointer": "/data", "code": "too-large", "message": "It is more than a journey keeps."}])
    return None


def pointer(place: tuple[str | int, ...]) -> str:
    """RFC 6901, from the body down; bounded, since names may be the caller's own."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in place)
    return ("/data" + "".join("/" + part for part in parts))[:200]


async def _find(conn: Connection, engine: Engine, tenant_id: str, interaction_id: str) -> Begun | None:
    interaction = await reads.find_interaction(conn, tenant_id, interaction_id)
    if interaction is None:
        return None
    flow = await _flow(conn, engine, tenant_id, interaction.flow, interaction.flow_version)
    assert flow is not None, "a version is never removed while instances follow it"
    return Begun(interaction, flow, await find_case_definition(conn, tenant_id, flow.definition))


async def _flow(conn: Connection, engine: Engine, tenant_id: str, name: str, version: int) -> Flow | None:
    key = (tenant_id, FlowKey(name, version))
    return (await engine.flows.read(conn, [key])).get(key)
