"""The commands that docs/how-to/run-the-local-stack.md shows, typed as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from runtime.stack.home import PROJECT
from tests.infrastructure.scratch import new_scratch

PAGE = PROJECT / "docs" / "how-to" / "run-the-local-stack.md"


def shown_commands() -> list[str]:
    """Every line of the page's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_every_command_of_the_page_works() -> None:
    commands, scratch = shown_commands(), new_scratch()
    assert [command.split()[1] for command in commands] == ["up", "status", "doctor", "down"]
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = {name: value for name, value in os.environ.items() if not name.startswith("CASESTREAM_")}
    environment = {**given, "PATH": programs, "CASESTREAM_HOME": str(scratch / "home")}
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, check=False, env=environment, cwd=PROJECT, timeout=120
        )
        # A new stack's doctor prescribes the next step: its migrations are not applied yet.
        expected = 3 if command.endswith("doctor") else 0
        assert done.returncode == expected, f"{command}: {done.stdout}{done.stderr}"
        assert expected == 0 or "casestream db migrate" in done.stdout
    shutil.rmtree(scratch)
