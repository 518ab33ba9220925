"""What the memory of another process holds: all of its readable pages, by the kernel's word."""

from collections.abc import Mapping
from pathlib import Path

_PIECE = 4 * 1024 * 1024
# The kernel's own pages, which hold nothing of the process.
_NOT_ITS_OWN = ("[vvar", "[vsyscall]", "[vdso]")


def readable(pid: int) -> str:
    """Why the memory of this process cannot be read here; empty when it can."""
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            first = next(iter(_regions(pid)))
            memory.seek(first[0])
            memory.read(16)
    except (OSError, StopIteration) as error:
        return (
            f"/proc/PID/mem of a child cannot be read here ({type(error).__name__}): Linux and the right to trace it are needed"
        )
    return ""


def occurrences(pid: int, needles: Mapping[str, bytes]) -> dict[str, int]:
    """How often each of these occurs in the process's memory; what does not occur is left out."""
    found = dict.fromkeys(needles, 0)
    overlap = max(map(len, needles.values())) - 1
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _regions(pid):
            tail = b""
            for at in range(start, end, _PIECE):
                try:
                    memory.seek(at)
                    piece = tail + memory.read(min(_PIECE, end - at))
                except OSError:
                    tail = b""  # unmapped meanwhile
                    continue
                for name, needle in needles.items():
                    found[name] += piece.count(needle)
                tail = piece[-overlap:]
    return {name: count for name, count in found.items() if count}


def _regions(pid: int) -> list[tuple[int, int]]:
    regions = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, *rest = line.split(maxsplit=5)
        if rights.startswith("r") and not (len(rest) == 4 and rest[3].startswith(_NOT_ITS_OWN)):
            start, _, end = span.partition("-")
            regions.append((int(start, 16), int(end, 16)))
    return regions
