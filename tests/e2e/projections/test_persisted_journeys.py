"""From a journey's persist point to an analyst's SELECT, through the broker; and what is left when the person is erased."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping_store import released_files
from domain.directory.analysts import add_analyst, remove_analyst
from domain.keys.shred import Shredder
from domain.onboarding import batch
from domain.onboarding.calls import call_id
from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.engine import Engine
from domain.onboarding.turn import Decided
from domain.outbox import Outbox
from runtime.cli.purgers import PURGERS
from runtime.keys.ledger_file import LedgerFile
from runtime.postgres import open_pool
from schemas.flows import Actor
from schemas.onboarding import Advance, Command, StartInstance, StepSucceeded
from tests.e2e.projections.house import House
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.test_shred import entry
from tests.waiting import until

TABLE = "case_plain_loan_application"
LOGIN, PASSWORD = "analyst_of_journeys", "correct horse battery staple"
CANARY = "canary-51d0"
USER: frozenset[Actor] = frozenset({"USER"})
SEEN = f"select case_id, flow_state, amount from analytics.{TABLE} where amount is not null order by case_id"


@pytest.fixture
async def analyst(house: House, database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A session of an analyst of tenant north."""
    async with house.owner.acquire() as owner:
        assert await add_analyst(owner, LOGIN, "north", PASSWORD, "root") is None
        parts = urlsplit(database.url("migrate"))
        conn = await asyncpg.connect(
            urlunsplit(parts._replace(netloc=f"{LOGIN}:{quote(PASSWORD)}@{parts.netloc.rpartition('@')[2]}"))
        )
        yield conn
        await conn.close()
        await remove_analyst(owner, LOGIN, None, "root")


def _engine(house: House) -> Engine:
    return Engine(Outbox("casestream"), house.ring, FollowedFlows(released_flows()), FollowedClasses(released_files()))


async def _tell(pool: asyncpg.Pool, engine: Engine, *messages: batch.Message) -> None:
    """What the processor's shell does with commands of tenant north."""
    await batch.warm_keys(engine.keys, messages)
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenants', '{north}', true)")
        now = await conn.fetchval("select cs_now()")
        states = await batch.load(conn, engine, messages)
        rulings = []
        for message in messages:
            ruling = batch.decide(states[message.key], message, now)
            assert isinstance(ruling.outcome, Decided), ruling.outcome
            states[message.key] = ruling.state
            rulings.append(ruling)
        await batch.save(conn, engine, rulings, now)


def _applies(instance_id: str, user_id: str, amount: str) -> Sequence[batch.Message]:
    data: dict[str, Any] = {"fullName": CANARY, "amount": amount, "termMonths": 24}
    commands: tuple[Command, ...] = (
        StartInstance(instance_id=instance_id, flow="loan-application", flow_version=1, user_id=user_id),
        Advance(instance_id=instance_id, action="SUBMIT", data=data),
    )
    return [batch.Message("north", command, user_id, USER, f"{instance_id}/{command.TYPE}") for command in commands]


def _refused(instance_id: str) -> batch.Message:
    """The score says no, which leads to the next persist point."""
    effect_id = str(call_id("north", instance_id, 1, 1))
    scored = StepSucceeded(instance_id=instance_id, step="1", attempt=1, effect_id=effect_id, outcome="REFUSED")
    return batch.engine_message("north", scored, effect_id)


@pytest.mark.requirement("IN-3", "CD-13", "CD-15")
@pytest.mark.hole("shredded-subject-refused")
async def test_an_analyst_sees_persisted_journeys_until_their_person_is_erased(
    house: House, analyst: asyncpg.Connection, tmp_path: Path
) -> None:
    engine, pool = _engine(house), await open_pool(house.settings, "worker")

    async def seen(*expected: tuple[str, str, Decimal]) -> None:
        async def so() -> bool:
            return [tuple(row) for row in await analyst.fetch(SEEN)] == list(expected)

        await until(so, what=f"the analyst to see {expected}")

    try:
        await _tell(pool, engine, *_applies("l-1", "ann", "1200.50"), *_applies("l-2", "bob", "800"))
        await seen(("l-1", "SCORING", Decimal("1200.50")), ("l-2", "SCORING", Decimal("800.00")))

        report = await Shredder(pool, house.keys, LedgerFile(tmp_path / "shredded.jsonl"), PURGERS).shred(
            entry(("north", "ann"))
        )
        assert report.keys_destroyed > 0
        # Both journeys go on; the ring of this process may still hold the key that was destroyed.
        await _tell(pool, engine, _refused("l-1"), _refused("l-2"))
        await seen(("l-2", "DECLINED", Decimal("800.00")))
    finally:
        await pool.close()

    stored = await house.look("select case_id, count(*) as n from sys_case_data_store group by 1 order by 1")
    assert [(row["case_id"], row["n"]) for row in stored] == [("l-1", 1), ("l-2", 2)], "nothing more of the erased person"
    await house.row(f"projections.{TABLE}__v1", "l-1", tombstone="erased", amount=None, full_name=None, flow_state=None)
    assert await house.look("select from incidents where kind = 'case-not-persisted'") == []
