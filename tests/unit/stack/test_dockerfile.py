"""A lint of the Dockerfile: the rules, the file itself, and a broken example for each rule."""

import re
from collections.abc import Callable

import pytest

from runtime.stack.home import PROJECT

Instruction = tuple[str, str]


def instructions(text: str) -> list[Instruction]:
    """(KEYWORD, rest) per instruction, continuation lines joined, comments dropped."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.strip().partition(" ") for line in joined.splitlines()]
    return [(keyword.upper(), rest.strip()) for keyword, _, rest in pairs]


def base_is_pinned(lines: list[Instruction]) -> bool:
    """Every base image has a version in its tag (or is an earlier stage)."""
    stages = {rest.split()[2] for keyword, rest in lines if keyword == "FROM" and " AS " in rest}
    bases = [rest.split()[0] for keyword, rest in lines if keyword == "FROM"]
    return bool(bases) and all(base in stages or re.search(r":\d+(\.\d+)+", base) for base in bases)


def user_is_not_root(lines: list[Instruction]) -> bool:
    """The last stage ends as a user given by number, which is not 0."""
    last = max(index for index, (keyword, _) in enumerate(lines) if keyword == "FROM")
    users = [rest for keyword, rest in lines[last:] if keyword == "USER"]
    return bool(users) and re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]) is not None


def downloads_need_hashes(lines: list[Instruction]) -> bool:
    """Every pip install either demands hashes or downloads nothing."""
    installs = [rest for keyword, rest in lines if keyword == "RUN" and "pip install" in rest]
    offline = ("--no-deps", "--no-build-isolation")
    return bool(installs) and all("--require-hashes" in line or all(option in line for option in offline) for line in installs)


def nothing_is_added_from_an_address(lines: list[Instruction]) -> bool:
    """No ADD at all (it fetches and unpacks), and no download by a shell."""
    fetches = re.compile(r"\b(curl|wget)\b|https?://")
    return all(keyword != "ADD" and not (keyword == "RUN" and fetches.search(rest)) for keyword, rest in lines)


def signals_reach_the_program(lines: list[Instruction]) -> bool:
    """ENTRYPOINT and CMD are lists: under a shell SIGTERM would not reach the role."""
    commands = [rest for keyword, rest in lines if keyword in ("ENTRYPOINT", "CMD")]
    return len(commands) == 2 and all(command.startswith("[") for command in commands)


def the_role_is_the_argument(lines: list[Instruction]) -> bool:
    return ("ENTRYPOINT", '["casestream", "run"]') in lines and any(
        keyword == "CMD" and re.fullmatch(r'\["[a-z-]+"\]', rest) for keyword, rest in lines
    )


def no_secret_is_baked_in(lines: list[Instruction]) -> bool:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|DATABASE_URL", re.IGNORECASE)
    return not any(keyword in ("ENV", "ARG") and secret.search(rest) for keyword, rest in lines)


GOOD = instructions((PROJECT / "Dockerfile").read_text())
RULES: dict[Callable[[list[Instruction]], bool], str] = {
    base_is_pinned: "FROM python:latest",
    user_is_not_root: "FROM python:3.11\nUSER 0",
    downloads_need_hashes: "RUN pip install -r requirements.lock",
    nothing_is_added_from_an_address: "ADD something.tar.gz /",
    signals_reach_the_program: 'ENTRYPOINT casestream run\nCMD ["api"]',
    the_role_is_the_argument: 'ENTRYPOINT ["casestream", "run", "api"]',
    no_secret_is_baked_in: "ENV DATABASE_URL=postgresql://a:b@c/d",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_dockerfile_keeps_the_rule(rule: Callable[[list[Instruction]], bool]) -> None:
    assert rule(GOOD)


@pytest.mark.parametrize(("rule", "broken"), RULES.items(), ids=lambda value: getattr(value, "__name__", "broken"))
def test_the_rule_notices_a_broken_file(rule: Callable[[list[Instruction]], bool], broken: str) -> None:
    assert not rule(instructions(broken))


def test_health_is_checked_by_compose_or_by_the_image() -> None:
    compose = (PROJECT / "docker-compose.yml").read_text()
    assert any(keyword == "HEALTHCHECK" for keyword, _ in GOOD) or "healthcheck:" in compose


def test_everything_that_is_copied_from_the_checkout_is_let_through() -> None:
    ignore = (PROJECT / ".dockerignore").read_text().splitlines()
    sources = [rest.split()[0] for keyword, rest in GOOD if keyword == "COPY" and "--from" not in rest]
    assert all(source == "." or f"!{source}" in ignore for source in sources)
