"""A disk that is really full: the new version's table and indexes lie on a file system of two megabytes."""

import asyncio
import os
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from random import Random

import asyncpg
import pytest

from runtime.sql import Connection
from tests.e2e.rebuild.test_rebuild import history
from tests.e2e.rebuild.test_trouble import shows
from tests.e2e.rebuild.world import TABLE, World
from tests.infrastructure.scratch import new_scratch
from tests.waiting import until

SPACE, MIB = "full_disk", 2


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own, in memory. Skips where this user may mount none."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root on Linux may mount a small file system: not shown here that a really full disk does no harm")
    scratch = new_scratch()
    folder = scratch / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={MIB}m", "casestream-test", str(folder)]
    mounted = subprocess.run(words, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small file system is refused here: {mounted.stderr.decode(errors='replace').strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(scratch)


async def make_space(owner: Connection, disk: Path) -> None:
    """A tablespace there. Skips where the server does not see this disk."""
    folder = disk / "tables"
    folder.mkdir()
    data = Path(await owner.fetchval("show data_directory"))
    if not data.exists():
        pytest.skip("the database server does not run on this machine")
    status = data.stat()
    os.chown(folder, status.st_uid, status.st_gid)
    folder.chmod(stat.S_IRWXU)
    await owner.execute(f"create tablespace {SPACE} location '{folder}'")


def fill(disk: Path) -> Path:
    """Take all that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as out, pytest.raises(OSError, match="No space left"):
        out.writelines(repeat(bytes(4096)))
    return ballast


@pytest.mark.requirement("CD-13")
async def test_a_really_full_disk_stops_the_rebuild_alone_and_it_goes_on_when_there_is_room(world: World) -> None:
    await world.serve_first()
    await world.applied(1, await history(world, Random(9), 6, 20))
    before = await world.rows(1)
    superuser = await asyncpg.connect(world.database.url("superuser"))
    with small_disk() as disk:
        await make_space(superuser, disk)
        try:
            await rebuilt_on(world, superuser, disk)
            after = [row for row in await world.rows(1) if row["case_id"] != "fresh"]
            assert after == before, "the old version is untouched"
        finally:
            for kind in ("table", "index"):
                await superuser.execute(f"alter {kind} all in tablespace {SPACE} set tablespace pg_default")
            await superuser.execute(f"drop tablespace {SPACE}")
            await superuser.close()


async def rebuilt_on(world: World, superuser: Connection, disk: Path) -> None:
    """A rebuild whose table finds no room, and then some. A reader asks on all the time."""
    rebuild = await world.order("store")
    async with asyncio.timeout(90):
        while not await world.look(f"select 1 where to_regclass('projections.{TABLE}__v2') is not null"):
            await world.round()
    await move(superuser)
    ballast = fill(disk)
    scanner, stop, reading = world.scanner("full"), asyncio.Event(), asyncio.Event()
    scanning, reader = asyncio.create_task(scanner.run(stop)), asyncio.create_task(read(world, reading))
    try:
        async with asyncio.timeout(90):
            while "DiskFull" not in (await world.rebuild(rebuild))["message"]:
                await world.round()
        await world.store("fresh", 1)
        await until(lambda: shows(world, "fresh", 1), what="the live row, although the new table has no room")
        assert not await world.rows(2)
        ballast.unlink()
        await world.until_state(rebuild, "ready")
        await until(lambda: equal(world), 60, "equal rows")
    finally:
        stop.set()
        reading.set()
        _, seen = await asyncio.gather(scanning, reader)
    assert set(seen) == {"rows"}, seen


async def move(superuser: Connection) -> None:
    """The new version's tables and indexes, still empty, to the small disk."""
    found = await superuser.fetch(
        """select oid::regclass as name, relkind from pg_class
           where relnamespace = 'projections'::regnamespace and relname like $1 and relkind in ('r', 'i')""",
        f"{TABLE}%\\_\\_v2%",
    )
    assert found
    for row in found:
        kind = "table" if row["relkind"] == b"r" else "index"
        await superuser.execute(f"alter {kind} {row['name']} set tablespace {SPACE}")


async def equal(world: World) -> bool:
    return await world.rows(2) == await world.rows(1) and await world.children(2) == await world.children(1)


async def read(world: World, stop: asyncio.Event) -> Counter[str]:
    """An analyst's query in a loop; what came of it."""
    seen: Counter[str] = Counter()
    while not stop.is_set():
        try:
            seen["rows" if await world.look(f"select * from analytics.{TABLE}") else "nothing"] += 1
        except asyncpg.PostgresError as error:
            seen[type(error).__name__] += 1
        await asyncio.sleep(0.01)
    return seen
