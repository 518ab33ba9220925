"""A stored history decided again (WF-3): what diverges first, and whether the folded row is the fold. Runs no handler."""

from dataclasses import dataclass, replace

from domain.onboarding import reads
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.flow import Flow, FlowKey
from domain.onboarding.history import Recorded
from domain.onboarding.instance import Instance
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


@dataclass(frozen=True, slots=True)
class Gathered:
    """A stored instance with all that deciding it again needs."""

    folded: Instance
    history: list[Recorded]
    known: dict[FlowKey, Flow]
    lacking: FlowKey | None


async def gather(conn: Connection, flows: FollowedFlows, tenant_id: str, instance_id: str) -> Gathered:
    """Read what a replay needs. Raises NotFound."""
    folded = await reads.get_folded(conn, tenant_id, instance_id)
    history = [row async for row in reads.history(conn, tenant_id, instance_id)]
    versions = {row.event.flow_version for row in history if isinstance(row.event, WorkflowStarted | WorkflowMigrated)}
    keys = [(tenant_id, FlowKey(folded.flow, version)) for version in sorted(versions | {folded.flow_version})]
    known = await flows.read(conn, keys)
    lacking = [key for _, key in keys if (tenant_id, key) not in known]
    return Gathered(folded, history, {key: flow for (_, key), flow in known.items()}, lacking[0] if lacking else None)


def judge(gathered: Gathered) -> Checked:
    """Decide it again. Takes 15 s for a million events, and asks nobody."""
    folded, lacking = gathered.folded, gathered.lacking
    if lacking is not None:
        gone = Divergence(1, "", f"version {lacking.version} of {folded.flow}", "no such definition")
        return Checked(folded.id, Replayed(0, 0, None, gone), row_differs=False)
    replayed = replay(gathered.history, gathered.known)
    again = replayed.instance
    same = again is not None and replace(again) == replace(folded)
    return Checked(folded.id, replayed, row_differs=replayed.divergence is None and not same)
