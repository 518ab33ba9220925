"""Reading the ends of server logs for people."""

from pathlib import Path

_TAIL_BYTES = 16_384
_ALARMING = ("FATAL", "ERROR", "PANIC", "Exception", "OutOfMemory")


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, or a sentence saying that there is none."""
    content = _end(log)
    return "\n".join(content[-lines:]) if content else f"(nothing in {log})"


def last_error(log: Path) -> str | None:
    """The last line that looks like a reason why a server died."""
    return next((line for line in reversed(_end(log)) if any(word in line for word in _ALARMING)), None)


def _end(log: Path) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace").splitlines()
