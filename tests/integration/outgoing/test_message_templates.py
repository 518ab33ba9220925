"""Message templates: versions that stay, faults told at once, messages escaped for where they go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from domain.message_templates import commands, reads
from domain.message_templates.commands import Draft
from domain.message_templates.wording import Wording, faults_of, missing_in, rendered, variables_of
from runtime.postgres import tenants_transaction
from runtime.sql import Connection
from schemas.errors import NotFound, Rejected

Pools = dict[str, asyncpg.Pool]
WELCOME = Wording("Chào {{fullName}}", "Hạng: {{customer.tier}}", "<p>Chào {{fullName}}, {{customer.tier}}</p>")


@asynccontextmanager
async def acting(pools: Pools, tenant: str = "acme") -> AsyncIterator[Connection]:
    async with tenants_transaction(pools["worker"], [tenant]) as conn:
        yield conn


async def save(pools: Pools, wording: Wording = WELCOME, expected: int | None = None, **words: str) -> int | Rejected:
    draft = Draft(**{"template_id": "123", "name": "Welcome", **words}, wording=wording, expected=expected)
    async with acting(pools) as conn:
        return await commands.save_template(conn, "acme", draft, author="an")


async def test_every_save_is_a_version_and_old_ones_stay(pools: Pools) -> None:
    assert await save(pools) == 1
    assert await save(pools, Wording("Hi", "{{x}}")) == 2
    async with acting(pools) as conn:
        newest = await reads.get_template(conn, "acme", "123")
        first = await reads.get_template(conn, "acme", "123", 1)
        assert (newest.version, newest.wording, newest.newest) == (2, Wording("Hi", "{{x}}"), 2)
        assert (first.version, first.wording, first.newest) == (1, WELCOME, 2)
        assert [row["version"] for row in await reads.list_versions(conn, "acme", "123")] == [2, 1]
        found = await reads.find_templates(conn, "acme", [("123", None), ("123", 1), ("123", 9), ("nobody", None)])
        assert {pair: one.version for pair, one in found.items()} == {("123", None): 2, ("123", 1): 1}
    async with acting(pools, "other") as conn:
        with pytest.raises(NotFound):
            await reads.get_template(conn, "acme", "123")
    with pytest.raises(asyncpg.PostgresError):
        await pools["superuser"].execute("update message_template_versions set subject = 'x'")


async def test_who_saw_another_version_saves_nothing(pools: Pools) -> None:
    assert await save(pools, expected=0) == 1
    for expected in (0, 2, 7):
        refused = await save(pools, expected=expected)
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.details) == ("ConflictState", {"version": 1})
    assert await save(pools, expected=1) == 2
    never = await save(pools, expected=1, template_id="never")
    assert isinstance(never, Rejected)


async def test_of_many_who_save_at_once_each_gets_a_number(pools: Pools) -> None:
    numbers = await asyncio.gather(*(save(pools) for _ in range(5)))
    assert sorted(number for number in numbers if isinstance(number, int)) == [1, 2, 3, 4, 5]


async def test_a_removed_template_is_chosen_by_nobody_and_read_by_its_version(pools: Pools) -> None:
    await save(pools)
    async with acting(pools) as conn:
        assert isinstance(await commands.remove_template(conn, "acme", "123", author="an", expected=2), Rejected)
        assert await commands.remove_template(conn, "acme", "123", author="an", expected=1) is None
        assert await reads.list_templates(conn, "acme") == []
        with pytest.raises(NotFound):
            await reads.get_template(conn, "acme", "123")
        assert (await reads.get_template(conn, "acme", "123", 1)).wording == WELCOME
        with pytest.raises(NotFound):
            await commands.remove_template(conn, "acme", "123", author="an")
    assert await save(pools, expected=0) == 2


@pytest.mark.requirement("trap-33", "trap-34")
def test_every_fault_is_told_at_once_with_its_place() -> None:
    wording = Wording("{{env.SMTP_PASSWORD}}", "{{open", "<p>{{secret:crm_token}}</p>")
    assert [(fault.pointer, fault.code) for fault in faults_of(wording)] == [
        ("/subject", "env"),
        ("/text", "unclosed"),
        ("/html", "secret-outside-header"),
    ]
    assert [fault.code for fault in faults_of(Wording("a\r\nBcc: x", "t"))] == ["control-character"]
    assert faults_of(WELCOME) == []


async def test_a_wording_with_faults_is_not_saved(pools: Pools) -> None:
    refused = await save(pools, Wording("{{}}", "x"))
    assert isinstance(refused, Rejected)
    assert refused.code == "TemplateRefused"
    assert await pools["superuser"].fetchval("select count(*) from message_templates") == 0


@pytest.mark.requirement("trap-34")
def test_values_are_escaped_for_the_part_they_stand_in() -> None:
    values = {"fullName": "<b>An</b> & Bình", "customer": {"tier": "VÀNG"}}
    assert rendered(WELCOME, values) == Wording(
        "Chào <b>An</b> & Bình", "Hạng: VÀNG", "<p>Chào &lt;b&gt;An&lt;/b&gt; &amp; Bình, VÀNG</p>"
    )
    assert variables_of(WELCOME) == ["fullName", "customer.tier"]
    assert missing_in(WELCOME, {"fullName": "An"}) == ["customer.tier"]


@pytest.mark.requirement("trap-34")
def test_a_value_brings_no_line_end_into_a_subject() -> None:
    refused = rendered(WELCOME, {"fullName": "An\r\nBcc: evil@example.com"})
    assert isinstance(refused, Rejected)
    assert refused.details["errors"] == [
        {
            "pointer": "/subject",
            "code": "control-character",
            "message": "a value holds a line break or another control character, which no header may have",
        }
    ]
