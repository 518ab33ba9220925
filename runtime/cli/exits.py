"""Exit codes of `casestream`, and what a person reads when a command fails.

Never prints a driver's message: PostgreSQL's quote row values. Place and class are enough to find the cause in the log.
"""

from enum import IntEnum

from schemas.errors import CasestreamError, ConfigurationError, TransientError


class ExitCode(IntEnum):
    """Scripts rely on these; 2 is also what a wrong command line gives."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PRECONDITION = 3
    PARTLY = 4


def exit_code_of(error: BaseException) -> ExitCode:
    """PRECONDITION when the machine is not ready (settings, database, broker), FAILED otherwise."""
    if isinstance(error, ConfigurationError | TransientError | OSError) and not isinstance(error, FileNotFoundError):
        return ExitCode.PRECONDITION
    return ExitCode.FAILED


def explain(error: BaseException) -> list[str]:
    """The lines to print. Our own errors say what to do; a stranger's is named by class and place."""
    from runtime.logging import place_of

    if isinstance(error, ConfigurationError):
        return [f"casestream: {len(error.problems)} problem(s) with the configuration:"] + [
            f"  {problem}" for problem in error.problems
        ]
    if isinstance(error, CasestreamError):
        return [f"casestream: {error}"]
    if isinstance(error, ConnectionError):
        return [f"casestream: no connection ({type(error).__name__}); see `casestream status`"]
    if isinstance(error, OSError):
        name = f": {error.filename}" if error.filename else ""
        return [f"casestream: {error.strerror or type(error).__name__}{name}"]
    return [f"casestream: unexpected {type(error).__name__} at {place_of(error)}"]
