"""A stored history decided again (WF-3): what diverges first, and whether the folded row is the fold. Runs no handler."""

from dataclasses import dataclass, replace

from domain.onboarding import reads
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.flow import FlowKey
from domain.onboarding.replay import Divergence, Replayed, replay
from runtime.sql import Connection
from schemas.workflow_events import WorkflowMigrated, WorkflowStarted


@dataclass(frozen=True, slots=True)
class Checked:
    """What a replay of a stored instance found. `row_differs`: the row is not the fold of its history."""

    instance_id: str
    replayed: Replayed
    row_differs: bool

    @property
    def sound(self) -> bool:
        return self.replayed.divergence is None and not self.row_differs


async def replay_instance(conn: Connection, flows: FollowedFlows, tenant_id: str, instance_id: str) -> Checked:
    """Replay one instance. Raises NotFound."""
    folded = await reads.get_folded(conn, tenant_id, instance_id)
    history = [row async for row in reads.history(conn, tenant_id, instance_id)]
    versions = {row.event.flow_version for row in history if isinstance(row.event, WorkflowStarted | WorkflowMigrated)}
    keys = [(tenant_id, FlowKey(folded.flow, version)) for version in sorted(versions | {folded.flow_version})]
    known = await flows.read(conn, keys)
    lacking = [key for key in keys if key not in known]
    if lacking:
        gone = Divergence(1, "", f"version {lacking[0][1].version} of {folded.flow}", "no such definition")
        return Checked(instance_id, Replayed(0, 0, None, gone), row_differs=False)
    replayed = replay(history, {key: flow for (_, key), flow in known.items()})
    again = replayed.instance
    same = again is not None and replace(again) == replace(folded)
    return Checked(instance_id, replayed, row_differs=replayed.divergence is None and not same)
