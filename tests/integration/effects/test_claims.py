"""Claims: leases and terms, several workers, limits, circuits, and what a search costs."""

import asyncio
import json
import random
import time
from typing import Any

import asyncpg
import pytest

from domain.effects.channels import Limits
from domain.effects.claiming import claim, find_falling_due, find_work, load_requests, renew
from domain.effects.claiming import queries as claiming
from domain.effects.commands import Judged, cancel, record
from domain.effects.decisions import Again, Finished
from domain.effects.effect import ClaimedEffect, RetryPolicy
from domain.effects.operating import retry, retry_all
from domain.effects.wiring import Wiring
from runtime.postgres import tenants_transaction
from tests.integration.effects.conftest import Start
from tests.integration.effects.world import OUTBOX, TENANT, Books, Ground, LoopbackSender, Receiver, lock_owners, new
from tests.waiting import until

WIDE = Limits(1000, 1000, 1000, 0, 0, 5, 5.0, 60.0)


async def take(ground: Ground, places: int = 100, life: float = 6.0, limits: Limits = WIDE) -> list[ClaimedEffect]:
    async with ground.scan.acquire() as conn, conn.transaction():
        return list((await claim(conn, ["webhook"], limits, places, owner="test", life=life)).effects)


async def finish(ground: Ground, *effects: ClaimedEffect, books: Books | None = None) -> int:
    async with tenants_transaction(ground.worker, [TENANT]) as conn:
        judged = [Judged(effect, Finished(True)) for effect in effects]
        return len(await record(conn, OUTBOX, books.wiring() if books else Wiring(), judged))


@pytest.mark.hole("claimable-by-position")
async def test_only_the_head_of_a_key_is_claimable_and_its_outcome_hands_over(ground: Ground) -> None:
    await ground.plan(new("a", key="k"), new("b", key="k"), new("c", key="other"), new("d"))
    first = await take(ground)
    assert [effect.owner_id for effect in first] == ["a", "c", "d"]
    assert await take(ground) == []
    async with tenants_transaction(ground.worker, [TENANT]) as conn:
        await record(conn, OUTBOX, Wiring(), [Judged(first[0], Again(0.0, "http-503"))])
    # In retry it keeps its place.
    (again,) = await take(ground)
    assert (again.owner_id, again.attempt, again.failures, again.term) == ("a", 2, 1, 2)
    assert await finish(ground, again) == 1
    assert [effect.owner_id for effect in await take(ground)] == ["b"]


@pytest.mark.hole("claimable-by-position")
async def test_positions_follow_the_order_of_commits_although_planners_meet(ground: Ground) -> None:
    """Forty planners on three keys at once: each key's positions are distinct, exactly one of each key is due."""
    keys = [f"k{number % 3}" for number in range(40)]
    await asyncio.gather(*(ground.plan(new(f"r{number}", key=key)) for number, key in enumerate(keys)))
    rows = await ground.look("select order_key, position, state from effects order by order_key, position")
    for key in set(keys):
        mine = [row for row in rows if row["order_key"] == key]
        assert [row["position"] for row in mine] == list(range(1, len(mine) + 1))
        assert [row["state"] for row in mine] == ["due"] + ["queued"] * (len(mine) - 1)


@pytest.mark.hole("lost-lease-writes-nothing")
async def test_who_lost_its_lease_writes_nothing(ground: Ground) -> None:
    """The zombie: frozen past its lease, it comes back with an answer when another has taken the call over."""
    books = Books()
    await ground.plan(new("a", key="k"), new("b", key="k"))
    (mine,) = await take(ground, life=1.0)
    await ground.shift_clock(2)
    (taken,) = await take(ground)
    assert (taken.id, taken.attempt, taken.term) == (mine.id, 2, 2)
    held = {(mine.tenant_id, mine.id): mine.term}
    async with ground.scan.acquire() as conn:
        assert await renew(conn, held, 6.0) == set()
    assert await finish(ground, mine, books=books) == 0
    assert await finish(ground, taken, books=books) == 1
    # Neither after the new owner's outcome, nor as a postponement.
    assert await finish(ground, mine, books=books) == 0
    async with tenants_transaction(ground.worker, [TENANT]) as conn:
        await record(conn, OUTBOX, books.wiring(), [Judged(mine, Again(0.0, "late"))])
    assert len(books.heard) == 1
    assert await ground.owner.fetchval("select count(*) from outbox_events") == 1
    assert await ground.states() == {"succeeded": 1, "due": 1}


@pytest.mark.hole("lost-lease-writes-nothing")
async def test_without_the_term_a_zombie_would_write(ground: Ground) -> None:
    """The negative control: the same answer under the new owner's term counts."""
    await ground.plan(new("a"))
    (mine,) = await take(ground, life=1.0)
    await ground.shift_clock(2)
    (taken,) = await take(ground)
    assert await finish(ground, mine) == 0
    assert await finish(ground, taken) == 1


async def test_a_lease_from_the_future_is_taken_after_the_clock_went_back(ground: Ground) -> None:
    await ground.shift_clock(3600)
    await ground.plan(new("a"))
    (mine,) = await take(ground)
    await ground.shift_clock(0)
    (taken,) = await take(ground)
    assert taken.id == mine.id


async def test_two_claimers_share_and_take_nothing_twice(ground: Ground) -> None:
    await ground.plan(*(new(f"r{number}") for number in range(200)))
    got: list[ClaimedEffect] = []

    async def claimer() -> None:
        while len(got) < 200:
            got.extend(await take(ground, places=7))

    await asyncio.wait_for(asyncio.gather(*(claimer() for _ in range(4))), 30)
    assert len({effect.id for effect in got}) == len(got) == 200


async def test_limits_hold_over_all_workers(ground: Ground) -> None:
    limits = Limits(5, 3, 4, 0, 0, 5, 5.0, 60.0)
    for tenant in ("acme", "beta"):
        for endpoint in ("one.example", "two.example"):
            await ground.plan(*(new(f"{endpoint}{n}", tenant=tenant, endpoint=endpoint) for n in range(10)))
    taken = [effect for _ in range(4) for effect in await take(ground, places=50, limits=limits)]
    channels = [(effect.tenant_id, effect.endpoint) for effect in taken]
    assert max(channels.count(channel) for channel in set(channels)) <= 3
    assert max([tenant for tenant, _ in channels].count(name) for name in ("acme", "beta")) <= 5
    assert [endpoint for _, endpoint in channels].count("one.example") == 4
    assert [endpoint for _, endpoint in channels].count("two.example") == 4


async def test_a_rate_is_kept_over_all_workers(ground: Ground) -> None:
    limits = Limits(1000, 1000, 1000, 0, 10, 5, 5.0, 60.0)
    await ground.plan(*(new(f"r{number}") for number in range(60)))
    assert len(await take(ground, limits=limits)) == 10
    assert await take(ground, limits=limits) == []
    await ground.shift_clock(1.5)
    assert 10 <= len(await take(ground, limits=limits)) <= 11


async def test_a_dead_endpoint_delays_nobody_else(ground: Ground, receiver: Receiver, start: Start) -> None:
    """500 calls to an endpoint that never answers and 50 of the same tenant to one that does: these are through at once."""
    receiver.answer = lambda request: "silent" if request["run"].startswith("dead") else "ok"
    dead = [new(f"dead{n}", endpoint="dead.example", key=f"dead|{n}", retry=RetryPolicy(50, 0.05, "fixed")) for n in range(500)]
    await ground.plan(*dead)
    start(ground.effects_worker([LoopbackSender(receiver.port)], in_flight=40, circuit_failures=3, channel_in_flight=8))
    await until(lambda: ground.look("select from effect_channels where open_until > cs_now()"), what="the open circuit")
    began = time.monotonic()
    await ground.plan(*(new(f"live{n}", key=f"live|{n}") for n in range(50)))
    await until(lambda: _count(ground, "succeeded", 50), what="the live ones")
    assert time.monotonic() - began < 5
    made = len([run for run in receiver.runs() if run.startswith("dead")])
    assert made < 60


async def test_an_endpoint_that_comes_back_is_found_by_one_probe(ground: Ground, receiver: Receiver, start: Start) -> None:
    dead = True
    receiver.answer = lambda _request: "busy" if dead else "ok"
    start(
        ground.effects_worker(
            [LoopbackSender(receiver.port)],
            circuit_failures=2,
            circuit_seconds=0.3,
            circuit_max_seconds=0.3,
        )
    )
    await ground.plan(*(new(f"r{n}", retry=RetryPolicy(100, 0.01, "fixed")) for n in range(20)))
    await until(lambda: ground.look("select from effect_channels where failures >= 4"), what="a probe that failed")
    dead = False
    await until(lambda: _count(ground, "succeeded", 20), what="all of them")
    (found,) = await ground.look("select failures, open_until <= cs_now() as closed from effect_channels where endpoint <> ''")
    assert found == {"failures": 0, "closed": True}


async def test_canceling_an_owner_takes_what_is_unclaimed_and_hands_its_lines_on(ground: Ground) -> None:
    await ground.plan(new("x", 1, key="k1"), new("y", 1, key="k1"), new("x", 2, key="k2"), new("z", 1, key="k2"))
    await ground.plan(new("x", 3, waiting=True), new("x", 4, delay_seconds=60.0), new("x", 5, key="k1"))
    claimed = await take(ground, places=1)
    assert [(effect.owner_id, effect.index) for effect in claimed] == [("x", 1)]
    async with tenants_transaction(ground.worker, [TENANT]) as conn:
        outcomes = await cancel(conn, [(TENANT, "run", "x")])
    assert sorted(outcome.index for outcome in outcomes) == [2, 3, 4, 5]
    # z was behind the canceled head of k2; y is still behind the call in flight.
    assert [effect.owner_id for effect in await take(ground)] == ["z"]
    assert await finish(ground, *claimed) == 1
    assert [effect.owner_id for effect in await take(ground)] == ["y"]


async def test_cancels_and_outcomes_that_meet_lose_nothing_and_never_deadlock(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    for _ in range(2):
        start(ground.effects_worker([LoopbackSender(receiver.port)], Books().wiring()))
    draw = random.Random(1)

    async def one(number: int) -> None:
        """Calls and delays of a run; half of the runs are canceled at once, with another."""
        await ground.plan(
            *(new(f"r{number}", index, key=f"k{(number + index) % 5}") for index in range(3)),
            new(f"r{number}", 3, kind="delay", endpoint="", delay_seconds=draw.choice([0.0, 0.01])),
        )
        if draw.random() < 0.5:
            owners = sorted({(TENANT, f"r{number}"), (TENANT, f"r{(number * 7) % 60}")})
            async with tenants_transaction(ground.worker, [TENANT]) as conn:
                await lock_owners(conn, owners)
                await cancel(conn, [(tenant, "run", owner) for tenant, owner in owners])

    for start_ in range(0, 60, 10):
        await asyncio.gather(*(one(number) for number in range(start_, start_ + 10)))
    await until(lambda: _no_unfinished(ground), 30, what="an end of everything")
    states = await ground.states()
    assert sum(states.values()) == 240
    assert set(states) == {"succeeded", "canceled"}
    calls = await ground.owner.fetchval("select count(*) from effects where state = 'succeeded' and kind = 'webhook'")
    assert len(set(receiver.ids())) == calls
    assert await ground.owner.fetchval("select deadlocks from pg_stat_database where datname = current_database()") == 0


async def test_failed_ones_are_retried_by_name_or_by_cause_with_a_result_each(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    receiver.answer = lambda _request: "no"
    books = Books()
    start(ground.effects_worker([LoopbackSender(receiver.port)], books.wiring()))
    effects = [new(f"r{number}", key=f"k{number % 2}") for number in range(6)]
    await ground.plan(*effects)
    await until(lambda: _count(ground, "failed", 6), what="six failures")
    receiver.answer = lambda _request: "ok"
    await ground.owner.execute("update effects set request = null where effect_id = $1", effects[5].id)
    stranger = new("never")
    async with ground.scan.acquire() as conn, conn.transaction():
        named = await retry(conn, [(TENANT, one.id) for one in (effects[0], effects[5], stranger)], actor="test", reason="why")
    assert {one.effect_id: one.said for one in named} == {
        effects[0].id: "ordered", effects[5].id: "erased", stranger.id: "not-found",
    }  # fmt: skip
    await until(lambda: _count(ground, "succeeded", 1), what="the first")
    async with ground.scan.acquire() as conn, conn.transaction():
        done = await retry_all(conn, TENANT, "webhook|hooks.example|http-410", actor="test")
    assert sorted(one.said for one in done) == ["erased", *["ordered"] * 4]
    await until(lambda: _count(ground, "succeeded", 5), what="the others")
    assert len(receiver.calls) == 11
    assert len(set(receiver.ids())) == 6
    assert await ground.owner.fetchval("select count(*) from audit_log where action = 'effect.retry'") == 5


async def test_an_erased_subjects_effects_are_not_called(ground: Ground, receiver: Receiver, start: Start) -> None:
    from domain.effects.purge import purge_effects

    await ground.plan(new("a", subject_id="LEAD/1", key="k"), new("b", subject_id="LEAD/2", key="k"))
    async with tenants_transaction(ground.worker, [TENANT]) as conn:
        assert await purge_effects(conn, TENANT, "LEAD/1") == {"public.effects": 1}
        assert await purge_effects(conn, TENANT, "LEAD/1") == {"public.effects": 0}
    books = Books()
    start(ground.effects_worker([LoopbackSender(receiver.port)], books.wiring()))
    await until(lambda: _no_unfinished(ground), what="both")
    assert receiver.runs() == ["b"]
    assert [(one.owner_id, one.result, one.code) for one in books.heard] == [
        ("a", "failed", "erased"), ("b", "succeeded", ""),
    ]  # fmt: skip
    assert await ground.look("select from incidents") == []


async def test_a_claimed_effect_says_what_it_was_planned_with(ground: Ground) -> None:
    hostile = {"text": "\x00 Nguyễn", "number": 2**53, "list": [1.5, None]}
    effect = new("a", key="k", request=hostile, retry=RetryPolicy(3, 1.5, "fixed"), subject_id="LEAD/1", is_async=True)
    await ground.plan(effect)
    taken = await take(ground)
    async with ground.worker.acquire() as conn:
        (found,) = await load_requests(conn, taken)
        assert await conn.fetchval("select count(*) from effects") == 0, "what was set for the look-up is gone with it"
    assert found.request == hostile
    assert (found.retry, found.subject_id, found.is_async) == (effect.retry, "LEAD/1", True)
    assert (found.order_key, found.endpoint) == ("k", "hooks.example")
    # Who claims across tenants may not read what an effect says.
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ground.scan.fetchval("select request from effects")


FINISHED = 60_000


@pytest.mark.hole("look-ups-start-from-the-keys")
async def test_a_search_costs_the_same_beside_many_finished_rows(ground: Ground) -> None:
    """No statistics, 60,000 finished rows and 3,000 that wait behind one head: pages read, which no machine changes."""
    await ground.owner.execute("alter table effects set (autovacuum_enabled = false)")
    await ground.plan(*(new(f"live{n}", key="k") for n in range(3_000)))
    before = await _costs(ground)
    await ground.owner.execute(
        "insert into effects (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, request,"
        " order_key, state, due_at, finished_at) select 'acme', gen_random_uuid(), 'run', 'old' || n, 1, '', 'webhook',"
        " 'hooks.example', '{}', 'k', 'succeeded', now(), now() from generate_series(1, $1) n",
        FINISHED,
    )
    after = await _costs(ground)
    # A bigger index is one or two levels deeper.
    assert {name: (before[name], after[name]) for name in after if after[name] > before[name] + 40} == {}
    assert await find_work(ground.scan, ["webhook"], 6.0) == (True, False)
    assert await find_falling_due(ground.scan, ["delay"], 500) == []


async def _costs(ground: Ground) -> dict[str, int]:
    """Pages that each statement of a search reads."""
    held = {"kinds": ["webhook"], "owner": "test", "life": 6.0}
    asked: dict[str, tuple[Any, ...]] = {
        "find_work": (held["kinds"], held["life"]),
        "find_channels": (held["kinds"], 100),
        "find_falling_due": (500, ["delay"]),
        "measure_oldest_due": (),
    }
    found = {}
    async with ground.scan.acquire() as conn:
        for name, arguments in asked.items():
            text = await conn.fetchval(f"explain (analyze, buffers, format json) {claiming.sql_of(name)}", *arguments)
            plan = json.loads(text)[0]["Plan"]
            found[name] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return found


async def _count(ground: Ground, state: str, count: int) -> bool:
    return (await ground.states()).get(state, 0) == count


async def _no_unfinished(ground: Ground) -> bool:
    return not await ground.owner.fetchval("select exists (select from effects where finished_at is null)")
