"""`casestream demo` and the tutorial as a user runs them: on the real incidents where given, else on generated ones."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.infrastructure.scratch import new_scratch
from tests.waiting import until

REAL_INPUT = "CASESTREAM_REAL_INPUT"
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-ten-minutes.md"


@dataclass(frozen=True)
class KeptDemo:
    """A demo that ended and left everything running, as `make demo KEEP=1` does."""

    home: Path
    environment: dict[str, str]
    done: subprocess.CompletedProcess[str]

    @property
    def supervisor(self) -> int:
        return int(re.search(r"kill (\d+)", self.done.stdout)[1])  # type: ignore[index]

    @property
    def url(self) -> str:
        return re.search(r"(http://127\.0\.0\.1:\d+)/openapi\.json", self.done.stdout)[1]  # type: ignore[index]


@pytest.fixture(scope="module")
def kept_demo() -> Iterator[KeptDemo]:
    home = new_scratch()
    # The demo is a development run: the suite's own switch must not reach its processes.
    environment = {name: value for name, value in os.environ.items() if name != REAL_INPUT}
    environment |= {
        "CASESTREAM_HOME": str(home),
        "COLUMNS": "160",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    given = os.environ.get(REAL_INPUT)
    arguments = ["demo", "--keep", *(["--input", given] if given else [])]
    try:
        yield KeptDemo(home, environment, _casestream(arguments, environment))
    finally:
        for pid in _processes_of(home, "run\0all"):
            os.kill(pid, signal.SIGTERM)
        _casestream(["down"], environment)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.requirement("SP-1", "SP-2", "SP-4", "SP-5", "WI-1")
def test_the_demo_balances_its_books(kept_demo: KeptDemo) -> None:
    done = kept_demo.done
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    assert "The books balance." in done.stdout
    commands = int(re.search(r"distinct commands\s+│\s+([\d,]+)", done.stdout)[1].replace(",", ""))  # type: ignore[index]
    assert commands > 24_000
    assert re.search(r"of them duplicates absorbed\s+│\s+[1-9]", done.stdout)


@pytest.mark.requirement("CD-3", "CD-4", "CD-13", "trap-80")
def test_the_demo_rebuilds_a_table_under_traffic_and_forgets_a_person(kept_demo: KeptDemo) -> None:
    told = kept_demo.done.stdout
    assert "The books of the cases balance." in told, told[-4000:]
    assert re.search(r"an analyst asked [\d,]+ times and got 0 errors", told)
    assert "parity: equal" in told
    assert re.search(r"forgotten in [\d.]+ s: [1-9]\d* rows before, 0 after", told)
    for warehouse in ("Da Nang", "Hanoi", "Hue"):
        assert re.search(rf"{warehouse}\s+\|\s+\d+", told), "psql answers with the new column"
    assert re.search(r"SKU-\d+ │\s+\d+", told), "DuckDB answers"


@pytest.mark.requirement("RU-8", "RU-12", "RU-13", "RU-15")
def test_the_demos_rules_fire_as_an_oracle_says_through_faults_and_kills(kept_demo: KeptDemo) -> None:
    told = kept_demo.done.stdout
    assert "The books of the rules balance." in told, told[-6000:]
    for rule in _rules_of("use-cases.yaml"):
        assert re.search(rf"│ {re.escape(rule)}\s+│\s+([1-9]\d*)\s+│\s+\1 │", told), f"{rule}: runs and oracle"
    for rule in _rules_of("incidents.yaml"):
        assert re.search(rf"│ {re.escape(rule)}\s+│\s+([\d,]+)\s+│\s+\1 │", told), f"{rule}: runs and oracle"
    assert re.search(r"mails: ([\d,]+) distinct ids of \1 received, \d+ of them again under the same id", told)
    assert re.search(r"webhooks: ([\d,]+) distinct ids of \1 received, [1-9]\d* of them again under the same id", told)
    assert len(re.findall(r"kill -9 of the effects worker with a call on its way: another after [\d.]+ s", told)) == 2
    assert re.search(r"Skipped: events .*not met: leadSource = WEBSITE", told, re.DOTALL)
    assert "It did not fire: its conditions were not met" in told
    assert "not met: estimatedValue > 50000; it saw 50000" in told


@pytest.mark.requirement("WF-1", "WF-9", "WF-12", "IN-9", "IN-10", "trap-63")
def test_the_demos_journeys_end_as_an_oracle_says_through_faults_and_kills(kept_demo: KeptDemo) -> None:
    told = kept_demo.done.stdout
    assert "The books of the journeys balance." in told, told[-6000:]
    for end in ("hit of AML, all undone", "never came back", "approved by a person", "offer declined", "paid out"):
        assert re.search(rf"│ {end}\s+│ [A-Z]+\s+│\s+([1-9]\d*)\s+│\s+\1 │", told), f"{end}: journeys and oracle"
    for killed in ("effects-0", "onboarding-0", "postgresql"):
        assert re.search(rf"{killed} \(back after [\d.]+ s\)", told)
    undone = re.findall(r"SAGA_COMPENSATION\s+│ undone (\w+)", told)
    assert undone == ["UNDO_CARD_ACTIVATION", "UNDO_WALLET_CREATION", "UNDO_ACCOUNT_CREATION"]
    assert re.search(r"replayed: \d+ events, \d+ decisions, divergence: None", told)


def test_the_tutorials_commands_do_what_it_says(kept_demo: KeptDemo) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    _start, exports, create, act, operate = blocks
    token, create = create.split("\n", 1)
    script = "\n".join(
        [
            "set -euo pipefail",
            exports.splitlines()[0].replace("http://127.0.0.1:PORT", kept_demo.url),
            token,
            f"ANSWER=$({{ {create.strip()}; }})",
            'echo "$ANSWER"',
            act.replace("the-id-from-the-answer", '$(echo "$ANSWER" | sed -E \'s/.*"workItemId":"([^"]+)".*/\\1/\')'),
            operate,
        ]
    )
    ran = subprocess.run(["bash", "-c", script], env=kept_demo.environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for expected in ('"newStatus":"open"', '"newStatus":"in_progress"', "InvalidTransition", "undecodable", "parked-messages"):
        assert expected in ran.stdout, f"{expected} is missing in:\n{ran.stdout}"


async def test_stopping_it_as_the_demo_says_leaves_no_process(kept_demo: KeptDemo) -> None:
    os.kill(kept_demo.supervisor, signal.SIGTERM)
    await until(lambda: not _processes_of(kept_demo.home, "run\0all"), what="the end of the supervisor")
    assert _casestream(["down"], kept_demo.environment).returncode == 0
    await until(lambda: not _processes_of(kept_demo.home), what="the end of every process of the demo")


def _rules_of(file: str) -> list[str]:
    path = TUTORIAL.parents[2] / "definitions" / "rules" / file
    return re.findall(r"^- name: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def _casestream(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runtime.cli", *arguments], env=environment, capture_output=True, text=True, check=False
    )


def _processes_of(home: Path, words: str = "") -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"CASESTREAM_HOME={home}\0".encode() in (entry / "environ").read_bytes()
            if ours and words.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
