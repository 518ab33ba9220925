"""A lint of the Dockerfile: pinned bases, a user that is not root, hashes for every download, signals that reach the role."""

import re
from collections.abc import Callable

from checks import ROOT, Report

DOCKERFILE = ROOT / "Dockerfile"
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


def check(report: Report, write: bool) -> None:
    lines = instructions(DOCKERFILE.read_text(encoding="utf-8"))
    for rule in RULES:
        if not rule(lines):
            report.fail(f"Dockerfile breaks the rule: {rule.__name__.replace('_', ' ')}")


RULES: tuple[Callable[[list[Instruction]], bool], ...] = (
    base_is_pinned,
    user_is_not_root,
    downloads_need_hashes,
    nothing_is_added_from_an_address,
    signals_reach_the_program,
    the_role_is_the_argument,
    no_secret_is_baked_in,
)
