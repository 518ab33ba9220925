"""Every line of the command table leads to a command, and `casestream --help` imports none of them."""

import importlib
import importlib.util

from checks import Report
from runtime.cli import FAMILIES


def check(report: Report, write: bool) -> None:
    for name, family in FAMILIES.items():
        module, _, attribute = family.target.partition(":")
        if importlib.util.find_spec(module) is None:
            report.fail(f"casestream {name}: there is no module {module}")
        elif not hasattr(importlib.import_module(module), attribute):
            report.fail(f"casestream {name}: {module} has no {attribute}")
