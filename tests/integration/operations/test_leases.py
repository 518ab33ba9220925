"""Leadership by lease: one at a time, taken over after its time, and a frozen holder writes nothing (SP-7)."""

import asyncio
import time
from typing import cast

import asyncpg
import pytest
from prometheus_client import REGISTRY

from tests.waiting import until
from workers import metrics
from workers.jobs import JOBS, Job, Servers, rounds_of
from workers.lease import Leadership, Lease, LostLease

# Long, so that a busy machine loses none; where one has to end, the test ends it.
LIFE, RENEW = 60.0, 0.1


def leadership(pool: asyncpg.Pool, owner: str, life: float = LIFE) -> Leadership:
    return Leadership(pool, "worker/test", owner, life=life, renew=RENEW)


@pytest.mark.requirement("SP-7")
async def test_only_one_leads_and_another_takes_over_under_a_higher_term(scan: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    first = await leadership(scan, "a").take()
    assert first is not None
    assert await leadership(scan, "b").take() is None

    # The database's clock decides when it is over.
    await owner.execute("update leases set expires_at = now() where name = 'worker/test'")
    second = await leadership(scan, "b").take()

    assert second is not None
    assert second.term == first.term + 1


@pytest.mark.requirement("SP-7")
async def test_work_goes_to_the_other_when_the_leader_leaves(scan: asyncpg.Pool) -> None:
    stops, leaders, terms = {name: asyncio.Event() for name in "ab"}, [], []

    def work(name: str):
        async def lead(lease: Lease) -> None:
            leaders.append(name)
            terms.append(lease.term)
            await stops[name].wait()

        return lead

    running = [asyncio.create_task(leadership(scan, name).run(work(name), stops[name])) for name in "ab"]
    await until(lambda: leaders, what="a leader")
    stops[leaders[0]].set()
    await until(lambda: len(leaders) == 2, what="the other leader")
    for stop in stops.values():
        stop.set()
    await asyncio.gather(*running)

    assert sorted(leaders) == ["a", "b"]
    assert terms[1] == terms[0] + 1


@pytest.mark.requirement("SP-7")
async def test_a_lost_lease_cancels_the_work(scan: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    stop, cancelled, began = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(lease: Lease) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    running = asyncio.create_task(leadership(scan, "a").run(work, stop))
    await asyncio.wait_for(began.wait(), 60)
    # Somebody else took it: the next renewal finds another term.
    await owner.execute("update leases set term = term + 1, owner = 'b', expires_at = now() + interval '1 hour'")
    await asyncio.wait_for(cancelled.wait(), 60)
    stop.set()
    await running

    assert await owner.fetchval("select owner from leases where name = 'worker/test'") == "b"


@pytest.mark.requirement("SP-7")
async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(scan: asyncpg.Pool) -> None:
    stop, seen, ends = asyncio.Event(), [], set[float]()

    async def work(lease: Lease) -> None:
        def renewed() -> bool:
            ends.add(lease.trusted_until)
            return len(ends) > 3

        await until(renewed, what="three renewals")
        lease.require()
        seen.append(lease.term)
        stop.set()

    await leadership(scan, "a").run(work, stop)

    assert seen == [1]


def test_a_frozen_holder_knows_by_its_own_clock_that_time_is_over() -> None:
    with pytest.raises(LostLease):
        Lease("worker/test", 1, trusted_until=time.monotonic() - 0.001).require()


def test_whoever_stops_leading_the_census_reports_nothing_open() -> None:
    metrics.incidents_open.labels("sequence-gap").set(3)
    metrics.groups_stopped.set(2)
    (job,) = [job for job in JOBS if job.name == "census"]

    job.forget()

    assert REGISTRY.get_sample_value("incidents_open", {"kind": "sequence-gap"}) is None
    assert REGISTRY.get_sample_value("consumer_groups_stopped") == 0


async def test_what_a_job_reported_is_forgotten_when_its_lease_is_lost() -> None:
    forgotten = asyncio.Event()

    async def lose(_servers: Servers, lease: Lease) -> None:
        raise LostLease(lease.name)

    job = Job("test", lambda _settings: 1.0, lose, forgotten.set)
    with pytest.raises(LostLease):
        await rounds_of(job, cast("Servers", None), asyncio.Event())(Lease("worker/test", 1, trusted_until=0))
    assert forgotten.is_set()
