"""`make bench`: every measured comparison, one after the other, never two at once.

    python -m benchmarks [NAME ...]     all, or those named; each is `python -m benchmarks.NAME` with its own options

Each writes its results beside its code. Leave the machine alone meanwhile: the figures are ratios of alternated runs, but a
second load still widens their spread.
"""

import argparse
import subprocess
import sys
from pathlib import Path


def names() -> list[str]:
    """Every comparison: a folder below with a program in it, `rules.stream` for one that lies in a subject's."""
    here = Path(__file__).parent
    return sorted(".".join(path.parent.relative_to(here).parts) for path in here.glob("*/**/__main__.py"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    chosen = parser.parse_args().names or names()
    if unknown := sorted(set(chosen) - set(names())):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(names())}")
    failed = []
    for name in chosen:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
