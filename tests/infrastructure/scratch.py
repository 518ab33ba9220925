"""Temporary homes for the servers of one test run, and the removal of homes whose run was killed."""

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from runtime.stack import processes

_PREFIX = "casestream-test-"
_OWNER = "owner.json"


def new_scratch() -> Path:
    """A new folder that belongs to this process. Removes the folders of runs that no longer exist first."""
    remove_abandoned(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    # The database's account must reach its own folder inside; nobody may list this one.
    folder.chmod(0o711)
    owner = processes.identify(os.getpid())
    assert owner is not None, "the running process identifies itself"
    (folder / _OWNER).write_text(json.dumps(asdict(owner)))
    return folder


def remove_abandoned(parent: Path) -> list[Path]:
    """Ends what killed test runs left running (where the kernel did not) and removes their folders."""
    abandoned = [
        folder
        for folder in parent.glob(f"{_PREFIX}*")
        if (owner := processes.read_pid_file(folder / _OWNER)) and not processes.is_alive(owner)
    ]
    for folder in abandoned:
        left = [process for pid_file in folder.rglob("*.pid") if (process := processes.running(pid_file))]
        processes.end(left, ())
        shutil.rmtree(folder, ignore_errors=True)
    return abandoned
