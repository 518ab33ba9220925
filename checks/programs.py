"""Runs a tool of the virtual environment and hands its complaints to a report."""

import os
import subprocess
import sys
from pathlib import Path

from checks import ROOT, Report


def run_tool(report: Report, *command: str) -> None:
    """A tool that ends with 0 has nothing to say; otherwise every line it printed is a problem."""
    program = Path(sys.executable).parent / command[0]
    ended = subprocess.run(
        [str(program), *command[1:]],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb"},
    )
    if ended.returncode != 0:
        lines = (ended.stdout + ended.stderr).splitlines()
        report.problems += [line for line in lines if line.strip()] or [f"{command[0]} ended with {ended.returncode}"]
