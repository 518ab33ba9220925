"""A process of table versions cannot send anything to anybody: what could do it is not even loaded (replay safety)."""

import subprocess
import sys

import pytest

SENDERS = (
    "smtplib",
    "aiosmtplib",
    "httpx",
    "requests",
    "urllib3",
    "outbox_relay",
    "workers",
    "api",
    "clients",
    "demo",
    "domain.outbox",
)


def loaded(program: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stdout.split())


@pytest.mark.requirement("CD-13")
@pytest.mark.hole("no-sender-in-a-rebuild")
def test_a_projections_process_loads_no_sender() -> None:
    modules = loaded("import projections.fleet, projections.rebuild.running, projections.rebuild.whole")
    assert "projections.rebuild.scan" in modules
    assert (
        sorted(module for module in modules if module.startswith(tuple(f"{name}." for name in SENDERS)) or module in SENDERS)
        == []
    )


def test_the_look_at_loaded_modules_can_find_one() -> None:
    assert "domain.outbox" in loaded("import domain.outbox")
