"""Under which account PostgreSQL runs: ours, or an unprivileged one when we are root (PostgreSQL refuses root).

That account may not be able to walk to the data folder or to the programs (a clone under /root or in a 0700
folder). It then gets one capability, the right to traverse, and nothing else of root's.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from runtime.stack.parts import MissingPart

_PREFERRED = ("nobody", "postgres", "daemon")
# Bits of the effective capability mask. The weaker right comes first; container engines usually grant only the other.
_TRAVERSE_CAPABILITIES = {"dac_read_search": 1 << 2, "dac_override": 1 << 1}


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the database; `prefix` is the command that becomes that user, empty when we stay who we are."""

    name: str
    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def own(self, path: Path) -> None:
        """Gives one file or folder to the account."""
        if self.prefix:
            os.chown(path, self.uid, self.gid)


def database_account(programs: Path, home: Path) -> Account:
    """The account for a database whose programs and folder these are."""
    if os.geteuid() != 0:
        return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingPart("PostgreSQL refuses to run as root, and setpriv is not installed", "install util-linux")
    entry = _unprivileged_user()
    become: tuple[str, ...] = (setpriv, "--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups")
    if not _can_reach(become, programs, home):
        become = (*become, *_right_to_traverse())
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, become)


def _unprivileged_user() -> pwd.struct_passwd:
    users = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    if not users:
        raise MissingPart("PostgreSQL refuses to run as root, and there is no other user", "useradd casestream")
    return next((users[name] for name in _PREFERRED if name in users), next(iter(users.values())))


def _can_reach(become: tuple[str, ...], programs: Path, home: Path) -> bool:
    probe = ["sh", "-c", 'test -x "$1" && cd "$2"', "sh", str(programs / "postgres"), str(home)]
    return subprocess.run([*become, *probe], capture_output=True, check=False).returncode == 0


def _right_to_traverse() -> tuple[str, str]:
    mask = int(_status_field("CapEff") or "0", 16)
    for name, bit in _TRAVERSE_CAPABILITIES.items():
        if mask & bit:
            return (f"--inh-caps=+{name}", f"--ambient-caps=+{name}")
    return ("--inh-caps=-all", "--ambient-caps=-all")


def _status_field(name: str) -> str | None:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((line.split()[1] for line in lines if line.startswith(f"{name}:")), None)
