"""The lint of the Dockerfile finds the file good and a broken example of each rule bad; what it copies is let through."""

from collections.abc import Callable

import pytest

from checks import ROOT, Report, dockerfile
from checks.dockerfile import instructions

GOOD = instructions((ROOT / "Dockerfile").read_text())
BROKEN = {
    dockerfile.base_is_pinned: "FROM python:latest",
    dockerfile.user_is_not_root: "FROM python:3.11\nUSER 0",
    dockerfile.downloads_need_hashes: "RUN pip install -r requirements.lock",
    dockerfile.nothing_is_added_from_an_address: "ADD something.tar.gz /",
    dockerfile.signals_reach_the_program: 'ENTRYPOINT casestream run\nCMD ["api"]',
    dockerfile.the_role_is_the_argument: 'ENTRYPOINT ["casestream", "run", "api"]',
    dockerfile.no_secret_is_baked_in: "ENV DATABASE_URL=postgresql://a:b@c/d",
}


def test_the_check_finds_nothing() -> None:
    report = Report()
    dockerfile.check(report, write=False)
    assert report.problems == []


def test_every_rule_has_a_broken_example() -> None:
    assert set(BROKEN) == set(dockerfile.RULES)


@pytest.mark.parametrize(("rule", "broken"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", "broken"))
def test_the_rule_notices_a_broken_file(rule: Callable[[list[dockerfile.Instruction]], bool], broken: str) -> None:
    assert not rule(instructions(broken))


def test_health_is_checked_by_compose_or_by_the_image() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    assert any(keyword == "HEALTHCHECK" for keyword, _ in GOOD) or "healthcheck:" in compose


def test_everything_that_is_copied_from_the_checkout_is_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    sources = [rest.split()[0] for keyword, rest in GOOD if keyword == "COPY" and "--from" not in rest]
    assert all(source == "." or f"!{source}" in ignore for source in sources)
