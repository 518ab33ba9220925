"""Run every check, or those named: `python -m checks [--write] [NAME...]`. Exit code 1 when one of them fails."""

import argparse
import sys
import time
from collections.abc import Callable

from checks import (
    Report,
    addresses,
    boundaries,
    case_classes,
    cli_page,
    commands,
    decisions,
    dependencies,
    dockerfile,
    documents,
    flows,
    flows_page,
    lint,
    lock,
    metadata,
    metrics_page,
    published,
    requirements,
    rule_files,
    rules_page,
    settings_page,
    strict_types,
)

Check = Callable[[Report, bool], None]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m checks", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the generated pages instead of comparing them")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CHECKS))
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in CHECKS]:
        parser.error(f"no check is named {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    names = chosen.names or (GENERATING if chosen.write else list(CHECKS))
    verdicts = [_run(name, chosen.write) for name in names]  # all of them run, also after a failure
    return 0 if all(verdicts) else 1


def _run(name: str, write: bool) -> bool:
    report, started = Report(), time.monotonic()
    try:
        CHECKS[name](report, write)
    except Exception as error:  # noqa: BLE001 - a module that cannot be read fails this check and not the others
        report.fail(f"could not look at everything: {type(error).__name__}: {error}")
    verdict = "FAILED" if report.problems else "ok"
    print(f"{name:<13} {verdict:<6} {time.monotonic() - started:5.1f} s", flush=True)
    for line in report.problems:
        print(f"    {line}")
    for line in report.notes:
        print(f"    note: {line}")
    sys.stdout.flush()
    return not report.problems


CHECKS: dict[str, Check] = {
    "lint": lint.check,
    "types": strict_types.check,
    "boundaries": boundaries.check,
    "decisions": decisions.check,
    "schemas": published.check,
    "lock": lock.check,
    "addresses": addresses.check,
    "dependencies": dependencies.check,
    "dockerfile": dockerfile.check,
    "metadata": metadata.check,
    "case-classes": case_classes.check,
    "rule-files": rule_files.check,
    "flows": flows.check,
    "documents": documents.check,
    "commands": commands.check,
    "settings": settings_page.check,
    "cli": cli_page.check,
    "metrics": metrics_page.check,
    "rules": rules_page.check,
    "flow-words": flows_page.check,
    "requirements": requirements.check,
}
GENERATING = ["schemas", "settings", "cli", "metrics", "rules", "flow-words", "requirements"]

if __name__ == "__main__":
    sys.exit(main())
