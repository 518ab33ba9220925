"""One PostgreSQL server as a plain process: made, started, asked, stopped and killed.

Owns the server's data folder and pid file. Durable as in production (fsync on) and loopback only. Never creates
Casestream's database or roles: that is `runtime/stack/database.py`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg

from runtime.stack import processes
from runtime.stack.account import Account, database_account
from runtime.stack.asking import ask
from runtime.stack.logs import tail
from runtime.stack.parts import MissingPart
from runtime.stack.ports import LOOPBACK, answers
from runtime.stack.postgres_programs import Programs, find_postgres
from schemas.errors import TransientError

SUPERUSER = "postgres"
READY_SECONDS = 60.0
# A unix socket's whole path must fit sun_path (108 bytes with its final zero).
_LONGEST_SOCKET_PATH = 107
# SIGINT disconnects clients, SIGQUIT drops everything and leaves recovery to the next start; SIGTERM would wait
# for clients for ever.
_STOP_STEPS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0))
# For what a dead postmaster left behind; one of them may be stopped and deaf.
_ORPHAN_STEPS = ((signal.SIGQUIT, 1.0),)
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    # So that a Debezium connector can be compared with the relay on the same database.
    "wal_level": "logical",
    "max_wal_size": "2GB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "lc_messages": "C",
}


@dataclass
class PostgresServer:
    """A server in `folder`; `settings` are added to postgresql.conf, a `tied` server dies with this interpreter."""

    folder: Path
    log: Path
    port: int
    password: str = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)
    tied: bool = False

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pid_file(self) -> Path:
        return self.folder / "postgres.pid"

    @property
    def process(self) -> processes.Process | None:
        """The running postmaster, also one whose pid file was lost; None when there is none."""
        return processes.running(self.pid_file) or self._postmaster_without_pid_file()

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Makes the data folder when there is none, starts the server, returns when it answers. Twice is harmless."""
        if not self.process:
            self._launch()
        self._wait_until_ready()

    def stop(self) -> None:
        """Ends the postmaster and every process it left behind."""
        postmaster = self.process
        processes.end([postmaster] if postmaster else [], _STOP_STEPS)
        processes.end(processes.processes_working_in(self.data), _ORPHAN_STEPS)
        self.pid_file.unlink(missing_ok=True)
        self._remove_short_sockets()

    def kill9(self) -> None:
        """SIGKILL to the postmaster, as a crash; returns when its children are gone too.

        They notice the death by themselves. Until the last one has ended the shared memory is in use, and a new
        postmaster would refuse to start.
        """
        children = processes.processes_working_in(self.data)
        processes.end([self.process] if self.process else [], ())
        if not processes.wait_for(lambda: processes.all_gone(children), 10.0):
            processes.end(children, _ORPHAN_STEPS)

    def is_ready(self) -> bool:
        """SELECT 1 was answered."""
        return answers(self.port) and ask(_select_one(self.url()))

    def _launch(self) -> None:
        programs = find_postgres()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        account = database_account(programs.folder, self.folder)
        account.own(self.folder)
        self._refuse_other_version(programs)
        if not self.data.exists():
            self._make_data(programs, account)
        self._forget_stale_lock()
        self._write_settings(account)
        launch = processes.Launch(
            (str(programs.folder / "postgres"), "-D", str(self.data)),
            self.log,
            self.folder,
            _environment(),
            become=account.prefix,
            tie=signal.SIGQUIT if self.tied else None,
        )
        processes.write_pid_file(self.pid_file, processes.spawn(launch))

    def _make_data(self, programs: Programs, account: Account) -> None:
        """initdb into a draft that is renamed when complete: an interrupted one never looks like a data folder."""
        draft, secret = self.folder / "data.draft", self.folder / "initdb.password"
        shutil.rmtree(draft, ignore_errors=True)
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        account.own(secret)
        command = [*account.prefix, str(programs.folder / "initdb"), "-D", str(draft), "-U", SUPERUSER]
        # The builtin provider's C.UTF-8 sorts by code point everywhere and needs no locale on the machine.
        locale = ["-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale"]
        auth = ["-A", "scram-sha-256", f"--pwfile={secret}", "--no-instructions"]
        made = subprocess.run(
            [*command, *locale, *auth], capture_output=True, text=True, check=False, cwd=self.folder, env=_environment()
        )
        secret.unlink()
        if made.returncode != 0:
            raise MissingPart(f"initdb failed in {self.folder}: {made.stderr.strip()[-1000:]}", "casestream doctor")
        draft.rename(self.data)

    def _refuse_other_version(self, programs: Programs) -> None:
        stamp = self.data / "PG_VERSION"
        written_by = stamp.read_text().strip() if stamp.exists() else str(programs.major)
        if written_by != str(programs.major):
            raise MissingPart(
                f"{self.data} was written by PostgreSQL {written_by}, this machine has {programs.version}",
                f"install PostgreSQL {written_by}, or give the data up: casestream down && rm -r {self.folder}",
            )

    def _write_settings(self, account: Account) -> None:
        # The whole file is ours and written at every start: nothing of an older stack survives in it.
        chosen = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self._sockets(account))}
        lines = [f"{name} = '{value}'" for name, value in {**chosen, **self.settings}.items()]
        conf = self.data / "postgresql.conf"
        conf.write_text("\n".join(lines) + "\n")
        account.own(conf)

    def _sockets(self, account: Account) -> Path:
        """A folder for the unix socket: inside the home, or a short one under /tmp when the path would not fit."""
        sockets = self.folder / "sockets"
        if len(os.fsencode(sockets / f".s.PGSQL.{self.port}")) > _LONGEST_SOCKET_PATH:
            self._remove_short_sockets()
            short = Path(tempfile.mkdtemp(prefix="casestream-pg-", dir="/tmp"))
            sockets.unlink(missing_ok=True)
            sockets.symlink_to(short)
            sockets = short
        sockets.mkdir(mode=0o700, exist_ok=True)
        account.own(sockets)
        # The socket's lock file holds a pid too, and a dead postmaster that nobody reaped still counts as alive.
        for leftover in sockets.glob(".s.PGSQL.*"):
            leftover.unlink()
        return sockets

    def _remove_short_sockets(self) -> None:
        link = self.folder / "sockets"
        if link.is_symlink():
            shutil.rmtree(link.readlink(), ignore_errors=True)
            link.unlink()

    def _forget_stale_lock(self) -> None:
        """Removes postmaster.pid of a dead postmaster.

        PostgreSQL removes it by itself unless the pid in it is in use again by a process of the same user, which
        after a reboot or in a new container is likely. No process works in the data folder, so it is stale.
        """
        orphans = processes.processes_working_in(self.data)
        processes.end(orphans, _ORPHAN_STEPS)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _postmaster_without_pid_file(self) -> processes.Process | None:
        try:
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None
        return next((found for found in processes.processes_working_in(self.data) if found.pid == pid), None)

    def _wait_until_ready(self) -> None:
        processes.wait_for(lambda: self.is_ready() or not self.process, READY_SECONDS)
        if not (self.process and self.is_ready()):
            raise TransientError(
                f"PostgreSQL did not answer on {LOOPBACK}:{self.port}. Its log {self.log} ends with:\n{tail(self.log)}"
            )


async def _select_one(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except asyncpg.InvalidPasswordError as error:
        raise MissingPart(
            "PostgreSQL refuses the stack's password: secrets.json is not the one that its data was made with",
            "restore secrets.json, or give the data up: casestream down, then remove the stack's home",
        ) from error
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError):
        return False
    try:
        return bool(await connection.fetchval("select 1") == 1)
    finally:
        await connection.close()


def _environment() -> dict[str, str]:
    # PGDATA, PGPORT and their like would overrule what we pass.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
