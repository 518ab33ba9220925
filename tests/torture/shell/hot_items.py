"""Actions on few items from three writers at once: the HTTP door and two members of the group that owns the items.

The figures are counted twice, by who sent and by what is in the tables: an update that is lost, written twice or answered
without being written makes them differ.
"""

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

from api.app import create_app
from domain.outbox import Outbox
from processors.work_items import WorkItems
from runtime.postgres import open_pool
from schemas.work_items import ApplyAction, CreateWorkItem
from tests.e2e.shell.conformance import item_id
from tests.e2e.shell.harness import create_group_topics, event, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.api import conftest as http_door
from tests.integration.api.conftest import Served
from tests.integration.api.serving import asgi_client
from tests.unit.api.tokens import World
from tests.waiting import until

TENANT, COMMANDS = "north", "work-items.commands.v1"
ITEMS = [item_id(f"hot{number}") for number in range(50)]
# None of them is ever quiet: what is not refused is a row of the history.
ACTIONS = ("StartWork", "SetWaitingInternal", "BackToInProgress", "Resolve", "Reopen")
CLIENTS = 8


async def storm(database: ClonedDatabase, kafka: FreshKafka, actions: int) -> dict[str, Any]:
    """Half of the actions through each door, all at once; what they left."""
    await http_door.fill(database)
    door, half = WorkItems(Outbox("casestream")), max(actions // 2, len(ITEMS))
    await create_group_topics(kafka, door, 2)
    settings, world = http_door.settings_for(database), World()
    async with AsyncExitStack() as stack:
        for name in ("one", "two"):
            await stack.enter_async_context(member(settings_for(database, kafka), WorkItems(Outbox("casestream")), name))
        pool = await open_pool(settings, "api", size=CLIENTS, min_size=0, reset=False)
        stack.push_async_callback(pool.close)
        app = create_app(settings, pool, world.verifier())
        client = await stack.enter_async_context(asgi_client(app))
        await produce(
            kafka,
            COMMANDS,
            [event(CreateWorkItem(work_item_id=item, title="Hot"), TENANT, source="upstream") for item in ITEMS],
        )
        await until(lambda: _read(database, len(ITEMS)), 60, "the items")
        dice = random.Random(half)
        sent = [ApplyAction(work_item_id=dice.choice(ITEMS), action=dice.choice(ACTIONS)) for _ in range(half)]
        served = Served(app, settings, pool, database, client, world)
        _, *acknowledged = await asyncio.gather(
            produce(kafka, COMMANDS, [event(one, TENANT, source="upstream") for one in sent]),
            *(_over_http(served, random.Random(number), half // CLIENTS) for number in range(CLIENTS)),
        )
        await until(lambda: _read(database, len(ITEMS) + half), 600, "every command to be read")
    return {
        "actions": half + half // CLIENTS * CLIENTS,
        "sent_over_kafka": half,
        "acknowledged_over_http": sum(acknowledged),
        **await _left(database),
    }


async def _over_http(served: Served, dice: random.Random, count: int) -> int:
    """How many of the actions were answered with a yes; anything but a yes or a refusal ends the run."""
    accepted = 0
    for _ in range(count):
        answer = await served.act(dice.choice(ITEMS), dice.choice(ACTIONS))
        assert answer.status_code in (200, 400), answer.text
        accepted += answer.status_code == 200
    return accepted


async def _read(database: ClonedDatabase, count: int) -> bool:
    found = await rows(database, "select coalesce(sum(next), 0) as total from consumer_offsets")
    return bool(found[0]["total"] == count)


async def _left(database: ClonedDatabase) -> dict[str, Any]:
    (figures,) = await rows(
        database,
        """
        with steps as (
            select *, lag(to_status) over history as before, row_number() over history as number
            from work_item_state_history window history as (partition by work_item_id order by position)
        ), numbered as (
            select sequence, row_number() over (partition by aggregate_id order by id) as number
            from outbox_events where sequence is not null
        )
        select (select count(*) from steps where number > 2) as accepted,
               (select count(*) from steps where number > 2 and source = 'CRM_UI') as written_over_http,
               (select count(*) from steps where number > 2 and source = 'KAFKA') as written_over_kafka,
               (select count(*) from outbox_events where sequence is null) as refused_over_kafka,
               (select count(*) from steps where position <> number or from_status is distinct from before)
               + (select count(*) from work_items w
                  where w.version <> (select count(*) from steps s where s.work_item_id = w.id)) as broken_histories,
               (select count(*) from numbered where sequence <> number) as broken_numbers,
               (select deadlocks from pg_stat_database where datname = current_database()) as deadlocks
        """,
    )
    return figures
