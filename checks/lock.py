"""The lock files are fresh: they record a hash of their inputs, and every pin carries hashes. `make lock` writes them.

Works without the network and without the virtual environment, since it is what makes one.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from checks import ROOT, Report

# requirements-dev.lock is a superset: what make install takes. The image takes requirements.lock.
LOCKS = {
    "requirements.lock": ["telemetry", "monitor", "build"],
    "requirements-dev.lock": ["telemetry", "monitor", "build", "stack", "dev"],
}
_PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^ \\]+)", re.MULTILINE)


def check(report: Report, write: bool) -> None:
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in LOCKS}
    for name, text in texts.items():
        if f"# inputs: {inputs_hash()}\n" not in text:
            report.fail(f"{name} was compiled from other dependencies than pyproject.toml names; run `make lock`")
        for pin in unhashed(text):
            report.fail(f"{name}: {pin} has no hash")
    runtime, development = (dict(_PIN.findall(texts[name])) for name in LOCKS)
    for package, version in runtime.items():
        if development.get(package) != version:
            report.fail(f"{package} is {version} in requirements.lock, {development.get(package)} for development")


def inputs_hash() -> str:
    """A hash over everything in pyproject.toml that decides what is installed."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    inputs = {
        "python": project["requires-python"],
        "runtime": sorted(project["dependencies"]),
        "optional": {name: sorted(wanted) for name, wanted in project["optional-dependencies"].items()},
        "backend": sorted(pyproject["build-system"]["requires"]),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def unhashed(text: str) -> list[str]:
    """Pins that no hash follows."""
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return [entry.split()[0] for entry in entries if _PIN.match(entry) and "--hash=sha256:" not in entry]


def compile_locks() -> None:
    """Compile both files for every platform at once; the second is held to the first one's versions."""
    for name, extras in LOCKS.items():
        arguments = ["pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--generate-hashes"]
        arguments += ["--no-emit-index" + "-url", "--no-header", "--quiet", "--output-file", name]
        arguments += [f"--extra={extra}" for extra in extras]
        arguments += ["--upgrade"] if os.environ.get("UPGRADE") == "1" else []
        arguments += ["--constraint", "requirements.lock"] if name != "requirements.lock" else []
        subprocess.run([os.environ["UV"], *arguments], cwd=ROOT, check=True)
        _put_header(ROOT / name)


def _put_header(path: Path) -> None:
    body = re.sub(r"\A(?:#.*\n)*", "", path.read_text(encoding="utf-8"))
    header = "# Every version and hash that may be installed. `make lock` writes this file from pyproject.toml.\n"
    path.write_text(f"{header}# inputs: {inputs_hash()}\n{body}", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["compile"]:
        sys.exit("usage: python -m checks.lock compile (make lock)")
    compile_locks()
