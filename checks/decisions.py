"""Decision modules import the standard library and `schemas`, nothing else, and of the library nothing impure.

import-linter can forbid what it is told; this check allows what is listed, so that a new library is refused by itself.
"""

import ast
import sys
from pathlib import Path

from checks import ROOT, Report, shown

# No clock, no random, no I/O, no logging, no concurrency: time, ids and jitter are arguments.
IMPURE = frozenset(
    """
    asyncio concurrent contextvars ctypes fileinput glob http io logging mmap multiprocessing os pathlib pickle platform
    queue random secrets select selectors shutil signal smtplib socket sqlite3 ssl subprocess sys tempfile threading time
    urllib uuid warnings
    """.split()
)
PURE = sys.stdlib_module_names - IMPURE
IMPURE_CALLS = frozenset({"now", "utcnow", "today"})


def check(report: Report, write: bool) -> None:
    """Judge the decision modules and every module of `domain` that they lean on."""
    ahead = decision_modules()
    for path in ahead:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for problem in problems_of(tree):
            report.fail(f"{shown(path)}:{problem}")
        ahead += [found for found in _neighbours(tree) if found not in ahead]


def decision_modules() -> list[Path]:
    return sorted(path for name in ("decisions", "transitions") for path in (ROOT / "domain").glob(f"*/{name}.py"))


def problems_of(tree: ast.Module) -> list[str]:
    """`line: what is wrong` for one module."""
    found: list[str] = []
    for node in ast.walk(tree):
        for line, name in _imported(node):
            if not _is_allowed(name):
                found += [f"{line}: imports {name}; a decision knows only pure modules and schemas"]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_CALLS:
            found.append(f"{node.lineno}: asks a clock by {node.func.attr}(); time is an argument")
    return found


def _imported(node: ast.AST) -> list[tuple[int, str]]:
    if isinstance(node, ast.Import):
        return [(node.lineno, alias.name) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.lineno, "." * node.level + (node.module or ""))]
    return []


def _is_allowed(name: str) -> bool:
    # A neighbour in `domain` is judged by the same rules, see `check`.
    return name.split(".")[0] in PURE | {"schemas", "domain"}


def _neighbours(tree: ast.Module) -> list[Path]:
    """The files of the modules of `domain` that this one imports."""
    names = [name for node in ast.walk(tree) for _, name in _imported(node) if name.split(".")[0] == "domain"]
    places = [ROOT.joinpath(*name.split(".")) for name in names]
    candidates = [path for place in places for path in (place.with_suffix(".py"), place / "__init__.py")]
    return [path for path in candidates if path.exists()]
