"""The broker's jars: copied once by Maven from `deploy/local/kafka/pom.xml` into the cache.

A stamp that names every jar and its size marks a complete copy, so an interrupted one is never used.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from runtime.stack.home import PROJECT
from runtime.stack.java import Java
from runtime.stack.parts import MissingPart

POM = PROJECT / "deploy" / "local" / "kafka" / "pom.xml"
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_MAVEN_SECONDS = 600


def jars_folder(cache: Path) -> Path:
    """Where the jars of this very pom are, present or not."""
    return cache / f"kafka-{_pom_digest()}"


def missing_jars(cache: Path) -> list[str] | None:
    """Names of the jars that the stamp lists and the folder lacks; None when there is no complete copy at all."""
    folder = jars_folder(cache)
    try:
        stamp: dict[str, int] = json.loads((folder / "stamp.json").read_text())
    except (OSError, ValueError):
        return None
    return [name for name, size in stamp.items() if not _has(folder / name, size)]


def fetch_jars(cache: Path, java: Java) -> Path:
    """The folder with all jars, copied by Maven when it is not there yet."""
    if missing_jars(cache) == []:
        return jars_folder(cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / "kafka.lock").open("w")
    except OSError as error:
        raise MissingPart(f"the cache {cache} cannot be written ({error.strerror})", f"chmod u+w {cache}") from error
    with lock:
        # Two stacks that start at once must not both copy.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if missing_jars(cache) != []:
            _copy(jars_folder(cache), java)
    return jars_folder(cache)


def find_maven() -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingPart("Maven (mvn) is missing: it fetches Kafka's jars", "apt-get install maven")
    return Path(maven)


def _copy(folder: Path, java: Java) -> None:
    maven, draft = find_maven(), folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    # Batch mode and -q: no progress lines, only errors.
    command = [str(maven), "-q", "-B", "-f", str(POM), _GOAL, f"-DoutputDirectory={draft}", "-DincludeScope=runtime"]
    environment = {**os.environ, "JAVA_HOME": str(java.home)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=_MAVEN_SECONDS, cwd=POM.parent
    )
    if done.returncode != 0:
        raise MissingPart(f"Maven could not copy Kafka's jars: {_reason(done.stdout)}", f"mvn -f {POM} {_GOAL}")
    stamp = {jar.name: jar.stat().st_size for jar in sorted(draft.glob("*.jar"))}
    (draft / "stamp.json").write_text(json.dumps(stamp, indent=1))
    draft.rename(folder)


def _reason(output: str) -> str:
    errors = [line for line in output.splitlines() if line.startswith("[ERROR]")]
    return errors[0] if errors else output.strip()[-500:] or "it said nothing"


def _pom_digest() -> str:
    if not POM.exists():
        raise MissingPart(f"{POM} is missing: the local stack needs a checkout of the project", "git clone")
    return hashlib.sha256(POM.read_bytes()).hexdigest()[:12]


def _has(jar: Path, size: int) -> bool:
    return jar.exists() and jar.stat().st_size == size
