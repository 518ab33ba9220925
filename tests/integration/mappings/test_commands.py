"""Drafts, publications and disablings: judged by the whole graph, one after another, kept for ever."""

import asyncio
from typing import Any

import asyncpg
import pytest

from domain.audit import append
from domain.cases.mapping.resolve import resolve
from domain.cases.mapping_store import FollowedGraph, generation, load_graph
from domain.cases.mapping_store.commands import Draft, disable, publish, save_drafts
from schemas.errors import ConfigurationError, NotFound, Rejected
from tests.integration.domain.world import World
from tests.integration.mappings.words import (
    AN,
    AUDIT,
    BO,
    ORDER,
    RUSH,
    TOTAL,
    Order,
    column,
    done,
    draft,
    files,
    order,
    problems,
)

FILES = files()


async def save(world: World, body: dict[str, Any], expected: int | None = None, who: Any = AN) -> Any:
    async with world.api() as conn:
        return await save_drafts(conn, FILES, who, [draft(body, expected)])


async def put_in_force(world: World, body: dict[str, Any]) -> int:
    """Save and publish; the version."""
    async with world.api() as conn:
        done(await save_drafts(conn, FILES, AN, [draft(body)]))
        (changed,) = done(await publish(conn, FILES, AN, [Order(body["className"])], "a test"))
        return changed.version


async def paths(world: World, class_name: str = ORDER) -> dict[str, str | None]:
    """Column -> path, as they are in force."""
    async with world.api() as conn:
        resolved, _ = resolve(await load_graph(conn, FILES), class_name)
    return {found.name: found.entry.json_path for found in resolved.columns}


@pytest.mark.requirement("CD-6", "trap-81")
async def test_the_latest_enabled_row_replaces_the_whole_class_of_the_file(world: World) -> None:
    assert (await paths(world))["total"] == "$.total"
    assert await put_in_force(world, order(column("total", "$.sum", type="numeric(12,2)"))) == 1
    # Whole class: the file's column `customer` and its mixin are gone, what is inherited stays.
    assert await paths(world) == {"created_by": "$.startUserId", "business_key": "$.businessKey", "total": "$.sum"}
    assert await put_in_force(world, order(TOTAL, column("region", "$.params['region']"))) == 2
    assert (await paths(world))["region"] == "$.params['region']"


@pytest.mark.requirement("CD-6", "trap-81")
async def test_disabling_falls_back_to_the_older_enabled_version_and_then_to_the_file(world: World) -> None:
    await put_in_force(world, order(TOTAL, column("first")))
    await put_in_force(world, order(TOTAL, column("second")))
    await put_in_force(world, order(TOTAL, column("third")))
    async with world.api() as conn:
        assert done(await disable(conn, FILES, AN, Order(ORDER), "wrong", version=2))[0].version == 2
    assert "third" in await paths(world)
    async with world.api() as conn:
        assert done(await disable(conn, FILES, AN, Order(ORDER), "wrong"))[0].version == 3
    assert "first" in await paths(world)
    async with world.api() as conn:
        assert done(await disable(conn, FILES, AN, Order(ORDER), "wrong"))[0].version == 1
        refused = await disable(conn, FILES, AN, Order(ORDER), "wrong")
    assert "customer" in await paths(world)
    assert isinstance(refused, Rejected)
    assert refused.code == "NotEnabled"


@pytest.mark.requirement("CD-7", "trap-83")
async def test_a_published_remove_takes_an_inherited_column_away(world: World) -> None:
    await put_in_force(world, order(TOTAL, column("BUSINESS_KEY", remove=True)))
    assert "business_key" not in await paths(world)
    assert "business_key" not in await paths(world, RUSH)
    rush = {"className": RUSH, "parent": ORDER, "mappings": [column("BUSINESS_KEY", "$.rushKey")]}
    await put_in_force(world, rush)
    assert (await paths(world, RUSH))["business_key"] == "$.rushKey"


@pytest.mark.requirement("CD-10")
async def test_what_comes_from_the_database_says_so(world: World) -> None:
    version = await put_in_force(world, order(TOTAL, column("region")))
    async with world.api() as conn:
        resolved, _ = resolve(await load_graph(conn, FILES), RUSH)
    said = {found.name: found.provenance for found in resolved.columns}
    assert (said["region"].source_class, said["region"].source_kind, said["region"].source_module) == (ORDER, "db", "shop")
    assert said["region"].source_location == f"{ORDER}@{version}#/mappings/1"
    assert said["total"].source_kind == "file"
    assert said["total"].source_location.startswith("shop.yaml:")


BAD = [
    pytest.param([TOTAL, column("x'; drop table cases; --")], {("/mappings/1/plainColumn", "column-name")}, id="sql"),
    pytest.param([TOTAL, column("c" * 64)], {("/mappings/1/plainColumn", "column-name")}, id="64 characters"),
    pytest.param([TOTAL, column("select")], {("/mappings/1/plainColumn", "column-name")}, id="reserved"),
    pytest.param([TOTAL, column("tenant_id")], {("/mappings/1/plainColumn", "column-name")}, id="system column"),
    pytest.param([TOTAL, column("TOTAL")], {("/mappings/1/plainColumn", "column-twice")}, id="case-fold collision"),
    pytest.param([TOTAL, column("x", "$..sku")], {("/mappings/1/jsonPath", "path")}, id="recursive descent"),
    pytest.param([TOTAL, column("x", "items[")], {("/mappings/1/jsonPath", "path")}, id="no path"),
    pytest.param([TOTAL, column("x", type="varchar(10)")], {("/mappings/1/type", "form")}, id="no type"),
    pytest.param([TOTAL, column("x", nonsense=1)], {("/mappings/1", "form")}, id="unknown word"),
    pytest.param([TOTAL, "x"], {("/mappings/1", "form")}, id="no object"),
    pytest.param([column("total", type="text")], {("/mappings/0/type", "type-conflict")}, id="conflict"),
    pytest.param([TOTAL, *(column(f"c{n}") for n in range(500))], {("/mappings", "too-many-columns")}, id="too many"),
]


@pytest.mark.requirement("CD-8", "CD-11", "trap-87")
@pytest.mark.parametrize(("columns", "expected"), BAD)
async def test_a_bad_mapping_is_refused_at_save(world: World, columns: list[Any], expected: set[tuple[str, str]]) -> None:
    outcome = await save(world, order(*columns))
    found = problems(outcome)
    assert expected <= found
    assert await world.look("select from mapping_definitions") == []
    assert (await paths(world))["total"] == "$.total"


@pytest.mark.requirement("CD-8", "CD-11")
async def test_all_problems_are_told_at_once_and_the_old_mapping_stays(world: World) -> None:
    await put_in_force(world, order(TOTAL, column("region")))
    columns = [
        column("total", "$.total[", type="money"),
        column("a;b"),
        column("c" * 70, "$..x"),
        column("position"),
        column("x", remove=True, jsonPath="$.x"),
        column("y", onMissing="default"),
    ]
    found = problems(await save(world, order(*columns, table="select", mixins=["com.shop.Absent"])))
    assert {
        ("/mappings/0/type", "form"),
        ("/mappings/1/plainColumn", "column-name"),
        ("/mappings/2/plainColumn", "column-name"),
        ("/mappings/2/jsonPath", "path"),
        ("/mappings/3/plainColumn", "column-name"),
        ("/mappings/4", "form"),
        ("/mappings/5", "form"),
        ("/mixins", "unknown-mixin"),
    } <= found
    assert "region" in await paths(world)
    assert [row["state"] for row in await world.look("select state from mapping_definitions")] == ["enabled"]


@pytest.mark.requirement("CD-9")
async def test_a_cycle_is_refused_whoever_closes_it(world: World) -> None:
    own = problems(await save(world, order(TOTAL, parent=ORDER)))
    assert "cycle" in {code for _, code in own}
    through = problems(await save(world, {"className": AUDIT, "isMixin": True, "mixins": [ORDER], "mappings": []}))
    assert "cycle" in {code for _, code in through}


@pytest.mark.requirement("CD-8")
async def test_a_conflict_in_a_class_that_inherits_is_refused_and_both_are_named(world: World) -> None:
    # RushOrder, in a file, says numeric(14,2): wider than 12,2 and no replacement for a text.
    outcome = await save(world, order(column("total", type="text")))
    assert isinstance(outcome, Rejected)
    errors: Any = outcome.details["errors"]
    (error,) = errors
    assert (error["className"], error["pointer"], error["code"]) == (ORDER, "/mappings/0/type", "type-conflict")
    assert RUSH in error["message"]
    assert "shop.yaml:" in error["message"]


async def test_the_address_and_the_body_name_one_class(world: World) -> None:
    async with world.api() as conn:
        outcome = await save_drafts(conn, FILES, AN, [Draft(ORDER, order(TOTAL) | {"className": RUSH})])
    assert ("/className", "form") in problems(outcome)


async def test_there_is_one_draft_and_each_change_raises_the_revision(world: World) -> None:
    (first,) = done(await save(world, order(TOTAL), expected=1))
    assert (first.version, first.revision) == (1, 2)
    (second,) = done(await save(world, order(TOTAL, column("region")), expected=2, who=BO))
    assert (second.version, second.revision) == (1, 3)
    rows = await world.look(
        "select version, author, body -> 'mappings' -> 1 ->> 'plainColumn' as column from mapping_definitions"
    )
    assert rows == [{"version": 1, "author": "bo", "column": "region"}]


async def test_a_stale_editor_is_told_and_changes_nothing(world: World) -> None:
    done(await save(world, order(TOTAL), expected=1))
    for expected in (1, 7, 0):
        outcome = await save(world, order(TOTAL, column("lost")), expected=expected, who=BO)
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.details["version"]) == ("ConflictState", 2)
    async with world.api() as conn:
        assert isinstance(await publish(conn, FILES, BO, [Order(ORDER, 1)], "late"), Rejected)
        assert isinstance(await disable(conn, FILES, BO, Order(ORDER, 1), "late"), Rejected)
    assert [row["author"] for row in await world.look("select author from mapping_definitions")] == ["an"]


async def test_of_two_editors_at_once_one_is_told(world: World) -> None:
    bodies = [order(TOTAL, column(name)) for name in ("north", "south")]
    outcomes = await asyncio.gather(*(save(world, body, expected=1) for body in bodies))
    assert sorted(isinstance(outcome, Rejected) for outcome in outcomes) == [False, True]


async def test_of_two_publications_at_once_one_is_told(world: World) -> None:
    done(await save(world, order(TOTAL, column("region"))))

    async def once() -> Any:
        async with world.api() as conn:
            return await publish(conn, FILES, AN, [Order(ORDER, 2)], "now")

    outcomes = await asyncio.gather(once(), once())
    assert sorted(isinstance(outcome, Rejected) for outcome in outcomes) == [False, True]
    assert await world.look("select version, state from mapping_definitions") == [{"version": 1, "state": "enabled"}]


@pytest.mark.requirement("CD-8")
async def test_two_publications_that_are_good_alone_are_not_both_good_together(world: World) -> None:
    """Each draft fits what is in force; the second to be published meets the first, and is refused."""
    done(await save(world, order(TOTAL, column("extra", type="date"))))
    done(await save(world, {"className": RUSH, "parent": ORDER, "mappings": [column("extra", type="boolean")]}))

    async def once(name: str) -> Any:
        async with world.api() as conn:
            return await publish(conn, FILES, AN, [Order(name)], "now")

    outcomes = await asyncio.gather(once(ORDER), once(RUSH))
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    assert "type-conflict" in {code for _, code in problems(refused)}
    states = await world.look("select state from mapping_definitions order by state")
    assert [row["state"] for row in states] == ["draft", "enabled"]


async def test_several_classes_are_published_together_or_not_at_all(world: World) -> None:
    base = {"className": "com.shop.Base", "parent": "WorkObject", "abstract": True, "mappings": [column("shared")]}
    child = order(TOTAL, parent="com.shop.Base")
    assert ("/parent", "unknown-parent") in problems(await save(world, child))
    async with world.api() as conn:
        done(await save_drafts(conn, FILES, AN, [draft(base), draft(child)]))
        alone = await publish(conn, FILES, AN, [Order(ORDER)], "too early")
        assert ("/parent", "unknown-parent") in problems(alone)
        done(await publish(conn, FILES, AN, [Order(ORDER), Order("com.shop.Base")], "together"))
    assert (await paths(world))["shared"] == "$.shared"
    async with world.api() as conn:
        refused = await disable(conn, FILES, AN, Order("com.shop.Base"), "no longer")
    assert "unknown-parent" in {code for _, code in problems(refused)}
    assert (await paths(world))["shared"] == "$.shared"


async def test_a_publication_says_which_tables_follow_from_other_mappings(world: World) -> None:
    done(await save(world, order(TOTAL, column("customer", "$.customer.name", sensitivity="mask"), column("region"))))
    async with world.api() as conn:
        (changed,) = done(await publish(conn, FILES, AN, [Order(ORDER)], "more"))
    assert {table.name: table.change for table in changed.tables} == {
        "case_plain_order": "changed",
        "case_plain_rush_order": "changed",
    }
    await put_in_force(world, {"className": "com.shop.Return", "parent": "WorkObject", "mappings": [column("why")]})
    async with world.api() as conn:
        (gone,) = done(await disable(conn, FILES, AN, Order("com.shop.Return"), "not used"))
    assert {"case_plain_return": "removed"}.items() <= {table.name: table.change for table in gone.tables}.items()


async def test_a_process_follows_within_one_look(world: World) -> None:
    followed = FollowedGraph(FILES)
    async with world.worker() as conn:
        number, graph = await followed.read(conn)
        assert await followed.read(conn) == (number, graph)
    await put_in_force(world, order(TOTAL, column("region")))
    async with world.worker() as conn:
        later, newer = await followed.read(conn)
        assert (later, await generation(conn)) == (number + 1, number + 1)
    assert newer[ORDER].source.source_kind == "db"
    done(await save(world, order(TOTAL)))
    async with world.worker() as conn:
        assert (await followed.read(conn))[0] == later


async def test_every_change_is_audited(world: World) -> None:
    await put_in_force(world, order(TOTAL))
    async with world.api() as conn:
        done(await disable(conn, FILES, BO, Order(ORDER), "it was wrong"))
    query = "select tenant_id, actor, action, object_id, reason from audit_log order by at, audit_id"
    published = ("an", "mapping.published", ORDER, "a test")
    disabled = ("bo", "mapping.disabled", ORDER, "it was wrong")
    assert [tuple(row.values()) for row in await world.look(query)] == [
        ("north", "an", "mapping.draft-saved", ORDER, "a test"),
        *((tenant, *published) for tenant in ("north", "")),
        *((tenant, *disabled) for tenant in ("north", "")),
    ]
    async with world.api("south") as conn:
        assert [tuple(row) for row in await conn.fetch(query)] == [("", *published), ("", *disabled)], (
            "what changes all, all see"
        )


@pytest.mark.requirement("SP-8")
async def test_a_tenant_reads_of_the_installations_log_only_what_concerns_mappings(world: World) -> None:
    async with world.api() as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await append(conn, tenant_id="", actor="x", action="x", object_type="tenant", object_id="x")
    async with world.worker() as conn:
        await append(conn, tenant_id="", actor="root", action="x", object_type="tenant", object_id="x")
    async with world.api() as conn:
        assert await conn.fetch("select from audit_log") == []


async def test_unknown_classes_and_missing_drafts_are_refused(world: World) -> None:
    async with world.api() as conn:
        for act in (publish(conn, FILES, AN, [Order("com.shop.Absent")], "x"), disable(conn, FILES, AN, Order("absent"), "x")):
            with pytest.raises(NotFound):
                await act
        outcome = await publish(conn, FILES, AN, [Order(ORDER)], "x")
    assert isinstance(outcome, Rejected)
    assert outcome.code == "NoDraft"


@pytest.mark.parametrize(
    "statement",
    [
        'update mapping_definitions set body = body || \'{"table": "other"}\', revision = revision + 1',
        "update mapping_definitions set state = 'draft', revision = revision + 1, published_at = null, published_by = null",
        "update mapping_definitions set author = 'mallory', revision = revision + 1",
        "update mapping_definitions set version = 9, revision = revision + 1",
        "update mapping_definitions set state = 'disabled', disabled_at = now(), disabled_by = 'x', revision = 9, reason = 'x'",
        "delete from mapping_definitions",
        "truncate mapping_definitions",
    ],
)
async def test_a_published_version_stays_as_it_is_for_the_owner_too(world: World, statement: str) -> None:
    await put_in_force(world, order(TOTAL))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="stays as it is"):
        await world.look(statement)


async def test_a_row_that_this_release_cannot_read_is_named(world: World) -> None:
    await world.look(
        "insert into mapping_definitions (class_name, version, state, body, author, published_at, published_by)"
        """ values ('x.Y', 3, 'enabled', '{"className": "x.Y", "mappings": [{"plainColumn": 1}]}', 'a', now(), 'a')"""
    )
    async with world.api() as conn:
        with pytest.raises(ConfigurationError, match=r"mapping x\.Y version 3: this release cannot read it"):
            await load_graph(conn, FILES)
