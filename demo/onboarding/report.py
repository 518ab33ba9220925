"""What the chapter prints: how journeys ended beside what they must, one that was undone, its replay, and the verdict."""

from rich.console import Console
from rich.table import Table

from demo.onboarding.books import JourneyBooks


def show_journeys(console: Console, books: JourneyBooks) -> bool:
    """Print everything; True when the books balance."""
    console.print(_ends(books))
    for line in _lines(books):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_seen(books))
    console.print(_timeline(books))
    problems = books.problems()
    for problem in problems:
        console.print(f"[red]The books of the journeys do not balance:[/red] {problem}")
    if problems:
        console.print("What wants a person: casestream incident list; casestream instance list --status INCIDENT")
    else:
        console.print("[green]The books of the journeys balance.[/green]")
    return not problems


def _ends(books: JourneyBooks) -> Table:
    table = Table(title="Journeys, as they ended", title_justify="left", show_lines=False)
    for name in ("flow", "what became of them", "status", "journeys", "oracle"):
        table.add_column(name, justify="right" if name in ("journeys", "oracle") else "left")
    for key in sorted(books.ends.keys() | books.wanted.keys()):
        table.add_row(*key, f"{books.ends[key]:,}", f"{books.wanted[key]:,}")
    return table


def _seen(books: JourneyBooks) -> Table:
    table = Table(title="The same journeys, as an analyst counts them in SQL", title_justify="left", show_lines=False)
    for name in ("flow", "flow_state", "rows", "oracle"):
        table.add_column(name, justify="right" if name in ("rows", "oracle") else "left")
    for key in sorted(books.rows.keys() | books.wanted_rows.keys()):
        table.add_row(*key, f"{books.rows[key]:,}", f"{books.wanted_rows[key]:,}")
    return table


def _lines(books: JourneyBooks) -> list[str]:
    kills = ", ".join(f"{name} (back after {seconds:.1f} s)" for name, seconds in books.kills.items())
    replayed = books.replayed
    return [
        f"{len(books.journeys):,} customers, all of it in {books.seconds:.1f} s; killed on the way: {kills}",
        f"{books.repeats:,} requests were sent again under their key while something was down",
        f"people decided {books.decided.total()}: {', '.join(f'{n} {what}' for what, n in sorted(books.decided.items()))}",
        f"the bank was asked for {books.steps:,} steps, and {books.noted - books.steps:,} times again under the same id",
        f"payments answered later, by callback: {books.payments.later}; with a wrong signature: {books.payments.unsigned}",
        f"replayed: {replayed['events']} events, {replayed['decisions']} decisions, divergence: {replayed['divergence']}",
    ]


def _timeline(books: JourneyBooks) -> Table:
    table = Table(title="A card that AML refused: done, and undone in reverse order", title_justify="left", show_lines=False)
    for name in ("number", "lane", "type", "about"):
        table.add_column(name, justify="right" if name == "number" else "left")
    for entry in books.timeline:
        about = [
            str(entry["says"][name]) for name in ("handler", "outcome", "phase", "compensation") if entry["says"].get(name)
        ]
        if entry["lane"] in ("effect", "compensation") and about:
            table.add_row(str(entry["number"]), entry["lane"], entry["type"], " ".join(_without_repeats(entry["type"], about)))
    return table


def _without_repeats(kind: str, about: list[str]) -> list[str]:
    """A forward step names its own undo too, which is of no interest before it runs."""
    return about[:1] if kind == "STEP_STARTED" else about
