"""The process of the leased jobs: each job competes for its own lease, so several such processes share the jobs (SP-7)."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import asyncpg

from domain.keys.purge import Purger
from domain.onboarding.recovering import Recovery
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient, open_pool
from runtime.settings import Settings
from workers import audit_chainer, census, housekeeping, metrics, reconciler, shredder
from workers.lease import Leadership, Lease, LostLease
from workers.recoverer import Recoverer

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Servers:
    """What a job works with: `scan` finds tenants and claims, `worker` acts for the tenants it is told."""

    settings: Settings
    scan: asyncpg.Pool
    worker: asyncpg.Pool


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does one round; it is called every `interval` seconds by whoever holds the lease `worker/<name>`.

    `leave` is the last round of a leader who stops in order. `forget` takes back what the rounds reported, when leading
    ends: the next leader reports, and the highest number counts.
    """

    name: str
    interval: Callable[[Settings], float]
    run: Callable[[Servers, Lease], Awaitable[None]]
    forget: Callable[[], None] = lambda: None
    leave: Callable[[Servers, Lease], Awaitable[None]] | None = None


async def run(settings: Settings, stop: asyncio.Event, purgers: Sequence[Purger], recovery: Recovery) -> None:
    """All jobs until `stop`. `purgers`: what a resumed shred empties, of whatever room; `recovery`: takes up instances."""
    jobs = (*JOBS, _chainer(), _shredder(purgers), _recoverer(settings, recovery))
    scan = await open_pool(settings, "scan", size=len(jobs) + 1)
    worker = await open_pool(settings, "worker", size=2)
    servers = Servers(settings, scan, worker)
    owner = f"{settings.instance}/{os.getpid()}/{secrets.token_hex(3)}"
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                leadership = Leadership(scan, f"worker/{job.name}", owner)
                group.create_task(leadership.run(rounds_of(job, servers, stop), stop), name=job.name)
    finally:
        await scan.close()
        await worker.close()


def rounds_of(job: Job, servers: Servers, stop: asyncio.Event) -> Callable[[Lease], Awaitable[None]]:
    """What a leader of the job does until `stop`, or until it is cancelled because the lease is lost."""

    async def work(lease: Lease) -> None:
        metrics.leader.labels(job.name).set(1)
        try:
            while not stop.is_set():
                await _round(job, servers, lease)
                await pause(stop, job.interval(servers.settings))
            if job.leave is not None:
                await _round(replace(job, run=job.leave), servers, lease)
        finally:
            metrics.leader.labels(job.name).set(0)
            job.forget()

    return work


async def _round(job: Job, servers: Servers, lease: Lease) -> None:
    """One round; a transient failure is counted and the next round comes as usual."""
    try:
        await job.run(servers, lease)
    except LostLease:
        raise
    except Exception as error:
        metrics.rounds.labels(job.name, "failed").inc()
        if not is_transient(error):
            raise
        log.warning("round failed", role=job.name, error=error)
    else:
        metrics.rounds.labels(job.name, "done").inc()


async def _housekeeping(servers: Servers, lease: Lease) -> None:
    age = timedelta(days=servers.settings.effects.payload_days)
    await housekeeping.tidy(servers.scan, servers.worker, servers.settings.housekeeping, lease, payload_age=age)


async def _reconciler(servers: Servers, lease: Lease) -> None:
    await reconciler.reconcile(servers.scan, servers.worker, lease)


async def _census(servers: Servers, lease: Lease) -> None:
    await census.count(servers.scan, lease)


def _chainer() -> Job:
    chainer = audit_chainer.AuditChainer()

    async def link(servers: Servers, lease: Lease) -> None:
        await chainer.round(servers.settings, servers.scan, servers.worker, lease)

    async def leave(servers: Servers, lease: Lease) -> None:
        await chainer.leave(servers.settings, servers.scan, servers.worker, lease)

    return Job("audit-chainer", lambda settings: audit_chainer.INTERVAL_SECONDS, link, chainer.forget, leave)


def _shredder(purgers: Sequence[Purger]) -> Job:
    resumer = shredder.ShredResumer(tuple(purgers))

    async def resume(servers: Servers, lease: Lease) -> None:
        await resumer.round(servers.settings, servers.scan, servers.worker, lease)

    return Job("shredder", lambda settings: shredder.INTERVAL_SECONDS, resume, resumer.forget)


def _recoverer(settings: Settings, recovery: Recovery) -> Job:
    walk = Recoverer(recovery, timedelta(milliseconds=settings.onboarding.timeout_interval_ms))

    async def look(servers: Servers, lease: Lease) -> None:
        await walk.round(servers.scan, servers.worker, lease)

    return Job("recoverer", lambda settings: settings.onboarding.retry_interval_ms / 1000, look, walk.forget)


JOBS: tuple[Job, ...] = (
    Job("housekeeping", lambda settings: settings.housekeeping.interval_seconds, _housekeeping),
    Job("reconciler", lambda settings: reconciler.INTERVAL_SECONDS, _reconciler, reconciler.forget),
    Job("census", lambda settings: census.INTERVAL_SECONDS, _census, census.forget),
)
