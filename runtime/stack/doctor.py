"""Examining a stack: what is missing or broken, and the command that mends it.

Only looks. Every check is a function from the home to findings; a check whose ground is missing says nothing, because
the finding about the ground is already there.
"""

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from runtime import migrations
from runtime.stack import processes
from runtime.stack.account import database_account
from runtime.stack.asking import ask
from runtime.stack.home import Home
from runtime.stack.issuer import open_issuer
from runtime.stack.java import find_java
from runtime.stack.kafka import live_brokers
from runtime.stack.kafka_jars import find_maven, jars_folder, missing_jars
from runtime.stack.local import status
from runtime.stack.logs import last_error
from runtime.stack.parts import MissingPart
from runtime.stack.ports import LOOPBACK, answers, is_free
from runtime.stack.postgres import PostgresServer
from runtime.stack.postgres_programs import find_postgres
from runtime.stack.roles import DATABASE, KEYS_DATABASE
from runtime.stack.state import StackState, read_secrets, read_state
from schemas.errors import ConfigurationError

_UP = "casestream up"
_LEAST_FREE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it is sound, what was found, and what mends it when it is not."""

    part: str
    sound: bool
    found: str
    remedy: str | None = None


def examine(home: Home) -> list[Finding]:
    """Every finding, in the order in which they should be mended."""
    return [finding for check in _CHECKS for finding in check(home)]


def _home(home: Home) -> list[Finding]:
    folder = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = f"chmod u+wx {folder}, or name another folder with CASESTREAM_HOME"
        return [Finding("home", False, f"{folder} cannot be written", remedy)]
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        return [Finding("home", False, f"only {free >> 20} MiB are free in {folder}", "free at least 1 GiB")]
    return [Finding("home", True, str(home.root))]


def _java(home: Home) -> list[Finding]:
    return [_part("java", lambda: f"{find_java().version} at {find_java().program}")]


def _jars(home: Home) -> list[Finding]:
    """Maven is only missing when the jars are: without them it is what fetches them."""
    try:
        missing = missing_jars(home.cache)
    except MissingPart as error:
        return [Finding("kafka jars", False, error.problem, error.remedy)]
    if missing == []:
        return [Finding("kafka jars", True, str(jars_folder(home.cache)))]
    found = f"missing or incomplete: {', '.join(missing)}" if missing else f"not in {jars_folder(home.cache)}"
    return [_part("maven", lambda: str(find_maven())), Finding("kafka jars", False, found, _UP)]


def _postgres_programs(home: Home) -> list[Finding]:
    return [_part("postgresql programs", lambda: f"{find_postgres().version} in {find_postgres().folder}")]


def _account(home: Home) -> list[Finding]:
    def found() -> str:
        return f"PostgreSQL runs as {database_account(find_postgres().folder, home.root).name}"

    return [_part("account", found)] if home.root.exists() and _sound(_postgres_programs(home)) else []


def _secrets(home: Home) -> list[Finding]:
    if not home.secrets.exists():
        if (home.postgres / "data").exists():
            remedy = f"give the data up: casestream down && rm -r {home.postgres} && {_UP}"
            return [Finding("secrets", False, f"{home.secrets} is gone, so the data cannot be opened", remedy)]
        return []
    if read_secrets(home.secrets) is None:
        return [Finding("secrets", False, f"{home.secrets} cannot be read", f"restore it, or rm {home.secrets}")]
    private = [path for path in (home.secrets, home.state, home.issuer / "private.pem") if path.exists()]
    open_ones = [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_ones:
        names = " ".join(map(str, open_ones))
        return [Finding("secrets", False, f"others can read {names}", f"chmod 600 {names}")]
    return [Finding("secrets", True, str(home.secrets))]


def _servers(home: Home) -> list[Finding]:
    state = read_state(home)
    if state is None:
        return [Finding("stack", False, f"there is no stack in {home.root}", _UP)]
    return [_postgres(home, state), _kafka(home, state)]


def _postgres(home: Home, state: StackState) -> Finding:
    try:
        return _answering_postgres(home, state)
    except MissingPart as error:
        return Finding("postgresql", False, error.problem, error.remedy)


def _answering_postgres(home: Home, state: StackState) -> Finding:
    known = read_secrets(home.secrets)
    alive = next(one.running for one in status(home) if one.server == "postgresql")
    log = home.logs / "postgres.log"
    if not alive:
        return _dead("postgresql", [state.postgres_port], home.postgres / "postgres.pid", last_error(log))
    server = PostgresServer(home.postgres, log, state.postgres_port, known.superuser if known else "")
    address = f"{LOOPBACK}:{state.postgres_port}"
    if not (server.is_ready() if known else answers(state.postgres_port)):
        found = f"it runs, but does not answer on {address}; {_reason(last_error(log))}"
        return Finding("postgresql", False, found, f"casestream down && {_UP}")
    return Finding("postgresql", True, f"answers on {address}")


def _kafka(home: Home, state: StackState) -> Finding:
    for number, ports in enumerate(state.kafka_ports, start=1):
        log, pid_file = home.logs / f"kafka-{number}.log", home.kafka / f"node-{number}" / "kafka.pid"
        reason = last_error(log.with_suffix(".out")) or last_error(log)
        if not processes.running(pid_file):
            return _dead("kafka", [ports.broker, ports.controller], pid_file, reason)
        if number not in ask(live_brokers(f"{LOOPBACK}:{ports.broker}")):
            found = f"it runs, but does not answer on {LOOPBACK}:{ports.broker}; {_reason(reason)}"
            return Finding("kafka", False, found, f"casestream down && {_UP}")
    return Finding("kafka", True, f"answers on {state.bootstrap_servers}")


def _dead(server: str, ports: list[int], pid_file: Path, reason: str | None) -> Finding:
    taken = [port for port in ports if not is_free(port)]
    if taken:
        return Finding(server, False, f"not running, and another program has its port {taken[0]}", f"{_UP} (new port)")
    if pid_file.exists():
        return Finding(server, False, f"it died; {_reason(reason)}", _UP)
    return Finding(server, False, "not running", _UP)


def _database(home: Home) -> list[Finding]:
    state, known = read_state(home), read_secrets(home.secrets)
    if state is None or known is None or not _postgres(home, state).sound:
        return []
    server = PostgresServer(home.postgres, home.logs / "postgres.log", state.postgres_port, known.superuser)
    return [
        ask(_migrations("", server.url(DATABASE, "cs_migrate", known.roles), migrations.DIRECTORY)),
        ask(_migrations("keys ", server.url(KEYS_DATABASE, "cs_migrate", known.roles), migrations.KEYS_DIRECTORY)),
    ]


async def _migrations(which: str, url: str, directory: Path) -> Finding:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError):
        return Finding(f"{which}database", False, "the database or its roles are missing", _UP)
    try:
        pending = await migrations.pending(connection, directory)
    except ConfigurationError as error:
        return Finding(f"{which}migrations", False, error.problems[0], "restore the migration file")
    finally:
        await connection.close()
    if pending:
        names = ", ".join(migration.name for migration in pending)
        return Finding(f"{which}migrations", False, f"{len(pending)} not applied: {names}", "casestream db migrate")
    return Finding(f"{which}migrations", True, "all applied")


def _keks(home: Home) -> list[Finding]:
    """Without its key-encryption key a stack's snapshots stay closed."""
    if read_state(home) is None:
        return []
    if not home.keks.exists():
        return [Finding("key-encryption key", False, f"{home.keks} is gone: restore it, or give the stack's data up", _UP)]
    return [Finding("key-encryption key", True, str(home.keks))]


def _issuer(home: Home) -> list[Finding]:
    return [_part("token issuer", lambda: str(open_issuer(home).jwks))] if read_state(home) else []


def _part(name: str, found: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, found())
    except MissingPart as error:
        return Finding(name, False, error.problem, error.remedy)


def _sound(findings: list[Finding]) -> bool:
    return all(finding.sound for finding in findings)


def _reason(line: str | None) -> str:
    return f"its log says: {line.strip()}" if line else "its log gives no reason"


_CHECKS: tuple[Callable[[Home], list[Finding]], ...] = (
    _home,
    _java,
    _jars,
    _postgres_programs,
    _account,
    _secrets,
    _servers,
    _database,
    _keks,
    _issuer,
)
