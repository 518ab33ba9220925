"""Every module says what it is, stays small, and logs fixed sentences.

Above 500 lines of a module or 80 of a function a written reason is asked for: a comment `# size: why`. Above 300 and 40 it
is only printed. A log message is a literal: whatever varies is a key that the allow-list knows.
"""

import ast
from pathlib import Path

from checks import ROOMS, Report, project_files, shown

MODULE_LIMITS = (300, 500)
FUNCTION_LIMITS = (40, 80)
REASON = "# size: "
LOGGERS = frozenset({"log", "_log", "logger"})
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})


def check(report: Report, write: bool) -> None:
    for path in project_files(*(f"{folder}/**.py" for folder in (*ROOMS, "checks", "benchmarks"))):
        _check_module(report, path)


def _check_module(report: Report, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    name, lines, tree = shown(path), source.splitlines(), ast.parse(source)
    if ast.get_docstring(tree) is None and lines:
        report.fail(f"{name}: no docstring; say what the module owns, never does and promises")
    _check_size(report, name, lines, MODULE_LIMITS, f"{name} has {len(lines)} lines")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = lines[node.lineno - 1 : node.end_lineno]
            _check_size(report, name, body, FUNCTION_LIMITS, f"{name}:{node.lineno} {node.name} has {len(body)} lines")
        if isinstance(node, ast.Call) and is_varying_log(node):
            report.fail(f"{name}:{node.lineno}: the log message varies; make it a fixed sentence and use keys")


def _check_size(report: Report, name: str, lines: list[str], limits: tuple[int, int], said: str) -> None:
    think, explain = limits
    if len(lines) > explain and not any(REASON in line for line in lines):
        report.fail(f"{said}; split it, or write the reason as `{REASON}...`")
    elif len(lines) > think:
        report.note(f"{said}: are there two things in it?")


def is_varying_log(call: ast.Call) -> bool:
    """Whether this is a call of a logger whose message is not a literal."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr in LEVELS):
        return False
    if not (isinstance(function.value, ast.Name) and function.value.id in LOGGERS):
        return False
    message = call.args[0] if call.args else None
    return not (isinstance(message, ast.Constant) and isinstance(message.value, str))
