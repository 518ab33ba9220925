"""`casestream topics`: create the registry's topics, compare them with the broker, grow one without breaking an order."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated

import asyncpg
import typer
from aiokafka.admin import AIOKafkaAdminClient

from domain.operations.groups import known_groups
from runtime import kafka, topics
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.postgres import TRANSIENT, open_pool, role_url
from runtime.settings import Settings
from runtime.topic_growth import Plan, TopicGrowth
from schemas.registry import Group

app = typer.Typer(no_args_is_help=True, help="Topics of the registry: apply, diff, grow.")


@app.command()
def apply() -> None:
    """Create every topic of the registry that is missing, dead letter topics too. Changes no existing topic."""
    settings = Settings.load()

    async def act() -> tuple[list[str], int]:
        wanted = topics.wanted_topics(settings, await _groups(settings))
        async with _admin(settings) as admin:
            return await topics.apply(admin, settings, wanted), len(wanted)

    created, wanted = asyncio.run(act())
    output.show_rows({"created": name} for name in created)
    output.remark(f"{len(created)} created, {wanted - len(created)} were there")


@app.command()
def diff() -> None:
    """Compare broker and registry: partitions, copies, settings. Exit code 1 when something differs; changes nothing."""
    settings = Settings.load()

    async def act() -> tuple[list[topics.Difference], int]:
        wanted = topics.wanted_topics(settings, await _groups(settings))
        async with _admin(settings) as admin:
            return await topics.diff(admin, settings, wanted), len(wanted)

    found, wanted = asyncio.run(act())
    output.show_rows(asdict(line) for line in found)
    if found:
        raise typer.Exit(ExitCode.FAILED)
    output.remark(f"{wanted} topics are as the registry says")


@app.command()
def grow(
    topic: Annotated[str, typer.Argument(help="A topic of the registry.")],
    partitions: Annotated[int, typer.Option(help="How many it shall have, in all.", min=2)],
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without, only say what would be done.")] = False,
    outside_producers_stopped: Annotated[
        bool, typer.Option("--outside-producers-stopped", help="All producers beside the outbox are stopped.")
    ] = False,
    drain_seconds: Annotated[float, typer.Option(help="How long the groups may take to read everything.")] = 60.0,
) -> None:
    """Stop the relay, let every group read the topic to its end, add partitions, go on. Takes about a minute."""
    settings = Settings.load()

    async def act() -> Plan:
        async with _admin(settings) as admin, await open_pool(settings, "scan", wait=False) as pool:
            growth = TopicGrowth(settings, pool, admin, topic, partitions, (await known_groups(pool)).values())
            plan = await growth.plan(outside_producers_stopped)
            if execute:
                await growth.execute(plan, drain_seconds)
            return plan

    plan = asyncio.run(act())
    output.show_record(
        {
            "topic": plan.topic,
            "partitions": f"{plan.partitions_now} -> {plan.partitions}",
            "also": list(plan.also),
            "groups": [str(group) for group in plan.backlog],
            "unsent": plan.unsent,
            "done": execute,
        }
    )
    if execute:
        output.remark(f"write partitions={plan.partitions} for {plan.topic} into schemas/registry.py")
    else:
        output.remark("a dry run: nothing was changed; repeat with --execute")


async def _groups(settings: Settings) -> Collection[Group] | None:
    """The registry's groups and those of table versions; the registry's alone (None) where no database answers yet."""
    try:
        conn = await asyncpg.connect(role_url(settings, "worker"), timeout=5)
    except (*TRANSIENT, asyncpg.PostgresError):
        output.remark(
            "PostgreSQL does not answer: without the dead letter topics of table versions, which their consumers make"
        )
        return None
    try:
        return (await known_groups(conn)).values()
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await conn.close()


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = kafka.admin(settings)
    await client.start()
    try:
        yield client
    finally:
        await client.close()
