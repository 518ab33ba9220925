"""The contracts of pyproject.toml, tried on a small house with one wrong import at a time: each of them can fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from checks import ROOMS, ROOT

# module of the small house -> its text; everything here is allowed
SOUND = {
    "schemas.errors": "",
    "runtime.sql": "import schemas.errors",
    "runtime.postgres": "",
    "runtime.cli": "import api.work_items, processors.work_items, outbox_relay, workers, projections, clients, demo",
    "domain.work_items": "",
    "domain.work_items.decisions": "import schemas.errors",
    "domain.work_items.transitions": "",
    "domain.work_items.store": "import runtime.sql, domain.work_items.decisions",
    "processors.shell": "",
    "processors.work_items": "import processors.shell, domain.work_items.store",
    "projections.board": "import processors.shell",
    "api.work_items": "import domain.work_items.store, runtime.sql",
    "clients.work_items": "import domain.work_items, schemas.errors",
    "demo.run": "import clients.work_items, runtime.sql",
}
BROKEN = {
    "schemas knows no other room": {"schemas.errors": "import runtime.sql"},
    "runtime knows no business": {"runtime.sql": "import domain.work_items"},
    "nothing imports the command line": {"runtime.sql": "import runtime.cli"},
    "a subject knows no door": {"domain.work_items.store": "import processors.shell"},
    "doors never import each other": {"projections.board": "import processors.work_items"},
    "a client knows no door and no database": {"clients.work_items": "import runtime.sql"},
    "the demo uses the doors and imports none": {"demo.run": "import api.work_items"},
    "only the command line and the demo use a client or the demo": {"workers": "import clients.work_items"},
    "decisions know only the language": {"domain.work_items.decisions": "import runtime.sql"},
}


def broken_contracts(folder: Path, changes: dict[str, str]) -> str:
    """What import-linter says of the small house with these changes; empty when it is sound."""
    for room in ROOMS:
        (folder / room).mkdir()
        (folder / room / "__init__.py").touch()
    modules = {**SOUND, **changes}
    for name, text in modules.items():
        path = folder.joinpath(*name.split("."))
        if any(other.startswith(f"{name}.") for other in modules) or name == "runtime.cli":
            path.mkdir(exist_ok=True)
            path = path / "__init__"
        path.with_suffix(".py").write_text(text)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    program = Path(sys.executable).parent / "lint-imports"
    # Without the path entry of the editable install, or the real rooms would be looked at.
    ended = subprocess.run(
        [sys.executable, "-c", _ISOLATED, str(ROOT), str(program)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    return "" if ended.returncode == 0 else ended.stdout


_ISOLATED = """
import os, sys, runpy
root, program = sys.argv[1:]
sys.path[:] = [os.getcwd()] + [entry for entry in sys.path if entry != root]
sys.argv = ["lint-imports", "--no-cache"]
runpy.run_path(program, run_name="__main__")
"""


def test_the_small_house_is_sound(tmp_path: Path) -> None:
    assert broken_contracts(tmp_path, {}) == ""


@pytest.mark.parametrize("contract", BROKEN)
def test_a_wrong_import_breaks_its_contract(tmp_path: Path, contract: str) -> None:
    said = broken_contracts(tmp_path, BROKEN[contract])
    assert any(line.startswith(contract) and "BROKEN" in line for line in said.splitlines()), said
