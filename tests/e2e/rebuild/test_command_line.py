"""`casestream projection` as an operator types it, beside running processes."""

import random

import pytest

from tests.e2e.operations.commands import casestream
from tests.e2e.rebuild.machines import machines
from tests.e2e.rebuild.test_kills import passed, serves
from tests.e2e.rebuild.test_rebuild import history
from tests.e2e.rebuild.world import TABLE, World
from tests.waiting import until


@pytest.mark.requirement("CD-13")
async def test_rebuild_verify_switch_and_back_from_the_command_line(world: World) -> None:
    async with machines(world.environ) as fleet:
        fleet.start()
        await until(lambda: serves(world, 1), 60, "version 1")
        count = await history(world, random.Random(21), 8, 30)
        await until(lambda: passed(world, 1, count), 60, "version 1 to read")

        environ = world.environ
        plan = await casestream(environ, "projection", "rebuild", TABLE, "--from", "store")
        assert (plan["version"], plan["refused"], plan["records"]) == (2, None, count)
        assert not await world.look("select from rebuilds"), "a dry run"

        ready = await casestream(environ, "projection", "rebuild", TABLE, "--from", "store", "--workers", "2", "--execute")
        assert (ready["state"], ready["version"], ready["percent"]) == ("ready", 2, 100.0)
        early = await casestream(environ, "projection", "switch", TABLE, expect=3)
        assert "ParityMissing" in early
        for more in ((), ("--full",)):
            verified = await casestream(environ, "projection", "verify", TABLE, *more)
            assert verified["verdict"] == "equal"
        assert await casestream(environ, "projection", "switch", TABLE) is not None
        assert not await serves(world, 2), "a dry run"
        switched = await casestream(environ, "projection", "switch", TABLE, "--execute")
        assert switched["state"] == "done"
        assert await serves(world, 2)
        back = await casestream(environ, "projection", "switch-back", TABLE, "--execute")
        assert (back["state"], back["version"]) == ("done", 1)
        retired = await casestream(environ, "projection", "retire", TABLE, "--version", "2", "--execute")
        assert retired["state"] == "done"

        listed = await casestream(environ, "projection", "list", TABLE)
        assert [row["state"] for row in listed] == ["serving", "retired"]
        shown = await casestream(environ, "projection", "status", TABLE)
        assert [row["state"] for row in shown] == ["ready"]
        nothing = await casestream(environ, "projection", "cancel", TABLE, expect=3)
        assert "no rebuild" in nothing
