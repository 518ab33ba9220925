"""The full counts of the audit chain: `make torture ARGS="-k audit"`. The suite tampers a few times of each kind.

A step that has run in full is skipped; its line is in benchmarks/results.
"""

import time
from typing import Any

import pytest

from tests.integration.audit.test_chain import KINDS, Log, log, rounds
from tests.torture.system.record import run_step

__all__ = ["log"]

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]

_PAGE = 20_000
_MANY = (
    "insert into audit_log (tenant_id, audit_id, actor, action, object_type, object_id, reason, detail) "
    "select 'north', gen_random_uuid(), 'an', 'case.read', 'case', 'c-' || n, 'a complaint', '{\"version\": 1}' "
    "from generate_series(1, $1::bigint) n"
)


@pytest.mark.parametrize("kind", KINDS)
async def test_tamperings_are_found(log: Log, kind: str) -> None:
    async def tamper(count: int) -> dict[str, Any]:
        missed = await rounds(log, kind, range(count))
        return {"tamperings": count, "missed": [repr(one) for one in missed]}

    def sound(figures: dict[str, Any]) -> None:
        assert figures["missed"] == []

    await run_step(f"audit: {kind}", 125, tamper, sound)


async def test_a_million_entries_are_verified(log: Log) -> None:
    """Entries come in pages and are linked at once, as a chainer that keeps up finds them."""

    async def verify(count: int) -> dict[str, Any]:
        async with (await log.world.pool("superuser")).acquire() as conn:
            for start in range(0, count, _PAGE):
                await conn.execute(_MANY, min(_PAGE, count - start))
                await log.chain()
        begun = time.monotonic()
        verdict = await log.verify()
        return {
            "entries": verdict.entries,
            "signed": verdict.signed_length,
            "heads": verdict.heads,
            "findings": [repr(one) for one in verdict.findings],
            "written": count,
            "verify_seconds": round(time.monotonic() - begun, 1),
        }

    def sound(figures: dict[str, Any]) -> None:
        assert (figures["entries"], figures["signed"], figures["findings"]) == (figures["written"], figures["written"], [])

    await run_step("audit: verify", 1_000_000, verify, sound)
