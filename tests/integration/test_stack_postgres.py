"""PostgreSQL as a process: killed, orphaned, started again, and never as root."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from runtime.stack import processes
from runtime.stack.parts import MissingPart
from runtime.stack.postgres import PostgresServer
from runtime.stack.postgres_programs import find_postgres
from runtime.stack.roles import ROLES_SQL, apply_roles, create_database
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.servers import new_postgres
from tests.waiting import until

OwnPostgres = Callable[..., PostgresServer]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that is not started yet, in a folder that only we can enter."""
    made = new_postgres(tmp_path)
    yield made
    made.stop()


async def fetchval(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_killed_postmaster_leaves_nobody_and_its_data_is_there_after_a_restart(
    own_postgres: OwnPostgres,
) -> None:
    server = own_postgres()
    await fetchval(server.url(), "create table t as select 42 as answer")
    before = server.process
    server.kill9()
    assert processes.processes_working_in(server.data) == []
    assert not server.is_ready()
    server.start()
    assert server.process != before
    assert await fetchval(server.url(), "select answer from t") == 42


async def test_a_backend_that_survives_its_postmaster_does_not_prevent_the_next_start(
    own_postgres: OwnPostgres,
) -> None:
    server = own_postgres()
    connection = await asyncpg.connect(server.url())
    backend = processes.identify(await connection.fetchval("select pg_backend_pid()"))
    assert backend is not None
    os.kill(backend.pid, signal.SIGSTOP)  # a stopped process notices nothing
    assert server.process is not None
    processes.end([server.process], ())
    server.start()
    assert not processes.is_alive(backend)
    assert server.is_ready()
    connection.terminate()


def test_starting_twice_keeps_the_same_server(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    first = server.process
    server.start()
    assert server.process == first


def test_a_lost_pid_file_does_not_hide_a_running_server(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    first = server.process
    server.pid_file.unlink()
    assert server.process == first
    server.stop()
    assert server.process is None


def test_a_lock_file_whose_pid_is_in_use_again_does_not_stop_the_start(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    lock = server.data / "postmaster.pid"
    content = lock.read_text().splitlines()
    server.kill9()
    lock.write_text("\n".join([str(os.getpid()), *content[1:]]) + "\n")
    server.start()
    assert server.is_ready()


def test_the_settings_that_the_design_counts_on(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    wanted = {"fsync": "on", "wal_level": "logical", "max_connections": "200", "listen_addresses": "127.0.0.1"}
    conf = (server.data / "postgresql.conf").read_text()
    assert all(f"{name} = '{value}'" in conf for name, value in wanted.items())


async def test_no_one_enters_without_a_password(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url(password="wrong"))
    sockets = str(server.folder / "sockets")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=sockets, port=server.port, user="postgres", password="wrong", database="postgres")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_runs_it_as_somebody_who_may_only_traverse(server: PostgresServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    server.start()
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    fields = dict(re.findall(r"^(\w+):\t(.*)$", status, re.MULTILINE))
    assert "0" not in fields["Uid"].split()
    dac_override, dac_read_search = 1 << 1, 1 << 2
    assert int(fields["CapEff"], 16) in (dac_read_search, dac_override)


def test_a_socket_path_that_would_not_fit_is_replaced_by_a_short_one(tmp_path: Path) -> None:
    server = new_postgres(tmp_path / ("x" * 100))
    server.start()
    try:
        sockets = (server.folder / "sockets").readlink()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(sockets / f".s.PGSQL.{server.port}"))
    finally:
        server.stop()
    assert not sockets.exists()


def test_data_of_another_major_version_is_refused_by_name(server: PostgresServer) -> None:
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(MissingPart, match="written by PostgreSQL 12"):
        server.start()


async def test_a_server_of_a_killed_test_run_dies_with_it(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio, signal, sys
        from pathlib import Path
        from tests.infrastructure.servers import new_postgres
        server = new_postgres(Path({str(tmp_path)!r}))
        # From a thread that ends at once: the server must outlive it, but not the process.
        asyncio.run(asyncio.to_thread(server.start))
        print(server.process.pid, flush=True)
        signal.pause()
        """
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    postmaster = processes.identify(int(run.stdout.readline()))
    assert postmaster is not None
    run.kill()
    run.wait()
    await until(lambda: not processes.is_alive(postmaster), what="the end of the killed run's postmaster")
    data = tmp_path / "postgres" / "data"
    await until(lambda: not processes.processes_working_in(data), what="the end of its children")


async def test_the_roles_are_made_once_and_made_right_again(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    await create_database(server.url(), "casestream")
    await create_database(server.url(), "casestream")
    url = server.url("casestream")
    await apply_roles(url, "first")
    await fetchval(url, "alter role cs_api bypassrls")
    await apply_roles(url, "second")
    roles = "select array_agg(rolname::text order by rolname) from pg_roles where {}"
    assert await fetchval(url, roles.format("rolname like 'cs\\_%' and rolbypassrls and rolcreaterole")) == ["cs_migrate"]
    assert await fetchval(url, roles.format("rolname like 'cs\\_%' and rolcanlogin and not rolsuper")) == [
        "cs_api",
        "cs_migrate",
        "cs_scan",
        "cs_worker",
    ]
    assert await fetchval(server.url("casestream", "cs_api", "second"), "select session_user") == "cs_api"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url("casestream", "cs_api", "first"))


async def test_psql_applies_the_roles_file_as_administrators_and_compose_do(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    await create_database(server.url(), "casestream")
    for password in ("from-options", ""):
        options = f"-c casestream.role_password={password}"
        subprocess.run(
            [find_postgres().folder / "psql", "-v", "ON_ERROR_STOP=1", "-d", server.url("casestream"), "-f", ROLES_SQL],
            check=True,
            capture_output=True,
            env={**os.environ, "PGOPTIONS": options},
        )
        # Without a password the second run leaves the first one's.
        assert await fetchval(server.url("casestream", "cs_scan", "from-options"), "select session_user") == "cs_scan"


@pytest.mark.parametrize("role", ["api", "worker", "scan"])
async def test_a_process_that_stops_in_mid_transaction_is_bounded_by_its_role(database: ClonedDatabase, role: str) -> None:
    url = database.url(role)  # type: ignore[arg-type]
    bounds = {
        "idle_in_transaction_session_timeout": "4s",
        "statement_timeout": "5s",
        "transaction_timeout": "8s",
        "client_connection_check_interval": "1s",
    }
    for name, value in bounds.items():
        assert await fetchval(url, f"show {name}") == value
    # Over TCP only; asyncpg reports it in milliseconds.
    assert await fetchval(url, "select setting from pg_settings where name = 'tcp_user_timeout'") == "5000"


async def test_migrations_and_analysts_are_not_bounded(database: ClonedDatabase) -> None:
    assert await fetchval(database.url("migrate"), "show statement_timeout") == "0"
