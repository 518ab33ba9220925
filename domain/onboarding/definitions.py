"""Versions of flows as a process knows them: files of the release, and rows that tenants pinned or imported.

A row wins over a file of the same version: an instance stays on what it started with, whatever a later release says or leaves
out. Rows never change, so what was read from one is kept for ever.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from domain.onboarding.case_definitions import pin_case_definitions
from domain.onboarding.flow import Flow, FlowKey, compile_flow
from domain.onboarding.flows.files import read_directory
from runtime.sql import Connection, load_queries
from schemas.flows import FlowDefinition, Transition

queries = load_queries(Path(__file__).with_name("definitions.sql"))

TenantFlow = tuple[str, FlowKey]


@lru_cache(maxsize=1)
def released_flows() -> Mapping[FlowKey, FlowDefinition]:
    """The flows that this release brings. One with errors is left out; `casestream flow lint` says what is wrong with it."""
    usable = [file.usable for file in read_directory()]
    return {FlowKey(flow.flow, flow.version): flow for flow in usable if flow is not None}


class FollowedFlows:
    """Compiled versions, by tenant."""

    def __init__(self, released: Mapping[FlowKey, FlowDefinition]) -> None:
        self._released = {key: compile_flow(flow) for key, flow in released.items()}
        self._pinned: dict[TenantFlow, Flow] = {}

    async def read(self, conn: Connection, wanted: Collection[TenantFlow]) -> dict[TenantFlow, Flow]:
        """Those of the wanted versions that there are."""
        lacking = sorted({one for one in wanted if one not in self._pinned})
        if lacking:
            for row in await queries.find_definitions(conn, **_arrays(lacking)):
                flow = compile_flow(FlowDefinition.model_validate_json(row["definition"]))
                self._pinned[row["tenant_id"], FlowKey(row["flow"], row["version"])] = flow
        known = {one: self._pinned.get(one) or self._released.get(one[1]) for one in wanted}
        return {one: flow for one, flow in known.items() if flow is not None}

    def pinned(self, one: TenantFlow) -> Flow | None:
        """A version that was read from its row before; rows never change."""
        return self._pinned.get(one)

    async def newest(self, conn: Connection, tenant_id: str, flow: str) -> int | None:
        """The highest version of a flow that a tenant can start."""
        rows = await queries.list_versions(conn, tenant_id=tenant_id, flow=flow)
        versions = [row["version"] for row in rows] + [key.version for key in self._released if key.flow == flow]
        return max(versions, default=None)

    async def pin(self, conn: Connection, wanted: Mapping[TenantFlow, Flow], by: str) -> None:
        """Write the versions that are no rows yet; the next `read` finds them."""
        await pin(conn, {one: flow for one, flow in wanted.items() if one not in self._pinned}, by)


@dataclass(frozen=True, slots=True)
class Listed:
    """A version that a tenant can start. `origin`: release or tenant."""

    flow: str
    version: int
    title: str | None
    origin: str
    pinned_at: datetime | None


async def list_flows(conn: Connection, tenant_id: str) -> list[Listed]:
    """By flow, newest version first."""
    rows = {
        FlowKey(row["flow"], row["version"]): row for row in await queries.list_versions(conn, tenant_id=tenant_id, flow=None)
    }
    released = released_flows()
    found = [
        Listed(key.flow, key.version, row["title"], "release" if key in released else "tenant", row["created_at"])
        for key, row in rows.items()
    ]
    found += [Listed(key.flow, key.version, flow.title, "release", None) for key, flow in released.items() if key not in rows]
    return sorted(found, key=lambda one: (one.flow, -one.version))


async def import_flow(
    conn: Connection, tenant_id: str, definition: FlowDefinition, by: str
) -> Literal["imported", "unchanged", "differs"]:
    """Pin a checked definition for a tenant; a version that is there, in a row or in the release, keeps its words."""
    key = FlowKey(definition.flow, definition.version)
    known = (await FollowedFlows(released_flows()).read(conn, [(tenant_id, key)])).get((tenant_id, key))
    if known is not None and known.definition != definition:
        return "differs"
    return "imported" if await pin(conn, {(tenant_id, key): compile_flow(definition)}, by) else "unchanged"


async def pin(conn: Connection, wanted: Mapping[TenantFlow, Flow], by: str) -> list[TenantFlow]:
    """Write these versions, spread out too; those that were not there yet."""
    if not wanted:
        return []
    keys = sorted(wanted)
    rows = await queries.pin_definitions(
        conn,
        **_arrays(keys),
        titles=[wanted[one].definition.title for one in keys],
        definitions=[json.dumps(wanted[one].definition.as_document(), ensure_ascii=False) for one in keys],
        authors=[by] * len(keys),
    )
    new = [(row["tenant_id"], FlowKey(row["flow"], row["version"])) for row in rows]
    spread = [_transition_row(one, move) for one in new for move in wanted[one].definition.transitions]
    if spread:
        await queries.insert_transitions(conn, transitions=json.dumps(spread))
    await pin_case_definitions(conn, [(one[0], wanted[one].definition) for one in new], by)
    return new


def _arrays(keys: Iterable[TenantFlow]) -> dict[str, list[Any]]:
    rows = list(keys)
    return {
        "tenant_ids": [tenant for tenant, _ in rows],
        "flows": [key.flow for _, key in rows],
        "versions": [key.version for _, key in rows],
    }


def _transition_row(one: TenantFlow, move: Transition) -> dict[str, Any]:
    return {
        "tenant_id": one[0],
        "flow": one[1].flow,
        "flow_version": f"v{one[1].version}",
        "from_state": move.from_state,
        "action": move.action,
        "to_state": move.to,
        "allowed_actors": list(move.actors),
        "is_async": move.mode == "async",
        "max_retry": move.retry.retries if move.handler else 0,
        "timeout": move.attempt_timeout.total_seconds() if move.attempt_timeout else None,
        "compensation_action": move.compensation,
        "handler": move.handler,
    }
