"""What a rule would do, or why it did or not, as a person reads it at the terminal; programs get the whole answer as JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

from runtime.cli import output

Row = Mapping[str, Any]


def show_answer(answer: Row) -> None:
    """A trial or an explanation."""
    if output.chosen() is not output.Format.TABLE:
        output.show_record(answer)
        return
    for line in words_of(answer):
        print(line)


def show_simulation(answer: Row) -> None:
    """How many entities a rule would fire for, and some of them."""
    if output.chosen() is not output.Format.TABLE:
        output.show_record(answer)
        return
    print(f"It would fire for {answer['fires']} of {answer['lookedAt']} entities.")
    for example in answer["examples"]:
        print(f"\n{example['entityId']}:")
        for line in words_of(example):
            print(f"  {line}")


def words_of(answer: Row) -> Iterable[str]:
    """The verdict, what each condition saw, and what each action asks for."""
    if "verdict" in answer:
        run = f", run {answer['runId']}" if answer["runId"] else ""
        yield f"{answer['verdict']} (version {answer['version']}{run})"
    if not answer["triggered"]:
        yield "Its trigger is not for such a change."
    yield from answer["explanation"]
    for number, action in enumerate(answer["actions"], 1):
        yield f"{number}. {action['type']}{_asked(action)}"


def _asked(action: Row) -> str:
    if action.get("code"):
        return f" fails: {action['code']}"
    told = {name: value for name, value in action.get("request", {}).items() if value not in (None, "", [], {})}
    return ": " + ", ".join(f"{name}={output.cell(value)}" for name, value in told.items()) if told else ""
