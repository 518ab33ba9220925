"""What the chapter prints: fired, left alone and why, mails and webhooks by id, an explanation, and the books' verdict."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from demo.rules.books import RuleBooks
from demo.rules.outside import Heard
from demo.rules.preparing import Rule

TOP = 2


def show_rules(console: Console, books: RuleBooks) -> bool:
    """Print everything; True when the books balance."""
    console.print(_fired(books))
    console.print(_skipped(books))
    for line in _lines(books):
        console.print(line, highlight=False, soft_wrap=True)
    problems = books.problems()
    for problem in problems:
        console.print(f"[red]The books of the rules do not balance:[/red] {problem}")
    if problems:
        console.print("What wants a person: casestream incident list; casestream effect list; casestream dlt list")
    else:
        console.print("[green]The books of the rules balance.[/green]")
    return not problems


def _fired(books: RuleBooks) -> Table:
    table = Table(title="Rules that fired", title_justify="left", show_lines=False)
    for name in ("rule", "runs", "oracle", "with a failed action"):
        table.add_column(name, justify="left" if name == "rule" else "right")
    for rule in sorted(books.fired.keys() | books.expected.fired.keys()):
        table.add_row(rule, f"{books.fired[rule]:,}", f"{books.expected.fired[rule]:,}", f"{books.failed[rule]:,}")
    return table


def _skipped(books: RuleBooks) -> Table:
    table = Table(title="Skipped: events that a rule looked at and left alone", title_justify="left", show_lines=False)
    table.add_column("rule")
    table.add_column("reason", overflow="fold")
    table.add_column("times", justify="right")
    held = {(rule, f"held back: {reason}"): times for (rule, reason), times in books.held.items()}
    for (rule, reason), times in [*_top_reasons(books), *sorted(held.items())]:
        table.add_row(rule, reason, f"{times:,}")
    return table


def _top_reasons(books: RuleBooks) -> list[tuple[tuple[str, str], int]]:
    """The most frequent ones of each rule."""
    shown: Counter[str] = Counter()
    found = []
    for (rule, reason), times in books.left_alone.most_common():
        shown[rule] += 1
        if shown[rule] <= TOP:
            found.append(((rule, reason), times))
    return found


def _lines(books: RuleBooks) -> list[str]:
    events, tally = books.events, books.tally
    return [
        f"{events:,} entity changes, {tally.duplicates:,} published twice and taken once; all of it in {books.seconds:.1f} s",
        f"{sum(books.left_alone.values()):,} times a rule looked at an event and left it alone",
        f"runs that failed: {books.failed.total()}, for want of an address to write to: {books.expected.unaddressed.total()}",
        f"mails: {_heard(books.outside.mails, books.expected.mails.total())}",
        f"webhooks: {_heard(books.outside.hooks, books.expected.calls.total())}",
        f"  with a wrong signature: {books.outside.hooks.unsigned}; out of order per incident: {books.disorder}",
        f"tasks {books.tasks}, notifications {books.notifications}, leads given in turn: {_shares(books)}",
        *(f"kill -9 of the effects worker with a call on its way: another after {seconds:.1f} s" for seconds in books.kills),
        "",
        *_explained(books.explained),
        "",
    ]


def _heard(heard: Heard, wanted: int) -> str:
    received = sum(told is not None for told in heard.first.values())
    faults = ", ".join(f"{count} {fault}" for fault, count in sorted(heard.faults.items()))
    return f"{received:,} distinct ids of {wanted:,} received, {heard.repeated} of them again under the same id ({faults})"


def _shares(books: RuleBooks) -> str:
    return ", ".join(f"{person} {count}" for person, count in sorted(books.assigned.items()))


def _explained(told: Rule) -> list[str]:
    return [
        f"Why did a deal of exactly the limit not fire? (casestream rule explain, version {told['version']})",
        f"  {told['verdict']}",
        *(f"  {line}" for line in told["explanation"]),
    ]
