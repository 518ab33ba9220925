"""What must come of the events: computed from the events and the documents (S1), without a word of ours.

One pass over each lead's changes in order. Nothing here knows of runs, effects, batches or deliveries.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from tests.torture.rules.books import book
from tests.torture.rules.books.traffic import Told, Values

# Rule, lead, number of the change whose values the text shows.
Said = tuple[str, str, int]
# Rule, lead, number of the change that fired it (None: time or another rule did), and how it ended.
Run = tuple[str, str, int | None, str]

# In the order in which the rules of one event run; of those whose first action calls.
_CALL_ORDER = {book.HOT: 0, book.WON: 1, book.GONE: 2}


def refuses(lead: str) -> bool:
    """Whether the receiver refuses, for good, to hear that this lead is gone."""
    return int(lead.rpartition("-")[2]) % 3 == 0


@dataclass
class Expected:
    """Counts are exact but for `calls` and `mails`: those say what must be heard at least once, under one id."""

    runs: Counter[Run] = field(default_factory=Counter)
    tasks: Counter[Said] = field(default_factory=Counter)
    notes: Counter[tuple[Said, str]] = field(default_factory=Counter)
    calls: set[Said] = field(default_factory=set)
    mails: set[Said] = field(default_factory=set)
    # Of each lead, the calls whose order is that of its changes.
    call_order: dict[str, list[Said]] = field(default_factory=dict)
    # Dates that lie beyond the run: armed at its end.
    armed: dict[str, str] = field(default_factory=dict)

    @property
    def statistics(self) -> dict[str, tuple[int, int, int]]:
        """Executions, successes and failures of each rule."""
        found: dict[str, tuple[int, int, int]] = {}
        for (rule, _, _, status), count in self.runs.items():
            executions, successes, failures = found.get(rule, (0, 0, 0))
            won, lost = (count, 0) if status == "SUCCESS" else (0, count)
            found[rule] = (executions + count, successes + won, failures + lost)
        return found


def expect(events: Iterable[Told], ends: datetime) -> Expected:
    """After these events. `ends`: how far the clock came: past the night, past what waited, past the near dates."""
    found, lives = Expected(), dict[str, list[Told]]()
    for told in events:
        lives.setdefault(told.lead, []).append(told)
    for lead, life in lives.items():
        low = 0
        for told in life:
            if told.kind == "CREATE":
                _created(found, lead, told)
            elif told.kind == "DELETE":
                _deleted(found, lead, told)
            else:
                low = _updated(found, lead, told, low)
        if life[-1].new is not None:
            _by_time(found, lead, life[-1].new, ends)
    return found


def _created(found: Expected, lead: str, told: Told) -> None:
    new = told.new or {}
    if new["leadSource"] == "WEBSITE":
        found.runs[book.WELCOME, lead, 1, "SUCCESS"] += 1
        found.mails.add((book.WELCOME, lead, 1))
        found.tasks[book.WELCOME, lead, 1] += 1
    if new["score"] == 100:
        found.runs[book.ECHO, lead, 1, "SUCCESS"] += 1
        found.tasks[book.ECHO, lead, 1] += 1


def _deleted(found: Expected, lead: str, told: Told) -> None:
    # DELETE reads the old values (trap 21), the number among them.
    said = (book.GONE, lead, (told.old or {})["n"])
    _call(found, said)
    found.runs[book.GONE, lead, told.n, "FAILED" if refuses(lead) else "SUCCESS"] += 1
    if not refuses(lead):
        found.tasks[said] += 1


def _updated(found: Expected, lead: str, told: Told, low: int) -> int:
    """How often `low` has run for the lead after this change."""
    old, new, n = told.old or {}, told.new or {}, told.n
    if new["score"] >= 90:
        found.runs[book.HOT, lead, n, "SUCCESS"] += 1
        _call(found, (book.HOT, lead, n))
    if old["leadStatus"] != new["leadStatus"]:
        _moved(found, lead, new, n)
    if old["owner"] != new["owner"]:
        found.runs[book.OWNER, lead, n, "SUCCESS"] += 1
        found.notes[(book.OWNER, lead, n), new["owner"]] += 1
    if new["score"] == 100 and old["score"] != 100:
        found.runs[book.LOUD, lead, n, "SUCCESS"] += 1
        found.runs[book.ECHO, lead, None, "SUCCESS"] += 1
        found.tasks[book.ECHO, lead, n] += 1
    if new["score"] < 10 and low < book.MOST_LOW:
        found.runs[book.LOW, lead, n, "SUCCESS"] += 1
        found.tasks[book.LOW, lead, n] += 1
        return low + 1
    return low


def _moved(found: Expected, lead: str, new: Values, n: int) -> None:
    if new["leadStatus"] == "WON":
        found.runs[book.WON, lead, n, "SUCCESS"] += 1
        _call(found, (book.WON, lead, n))
        found.tasks[book.WON, lead, n] += 1
        found.notes[(book.WON, lead, n), new["owner"]] += 1
    if new["leadStatus"] == "QUALIFIED":
        found.runs[book.LATER, lead, n, "SUCCESS"] += 1
        found.mails.add((book.LATER, lead, n))


def _by_time(found: Expected, lead: str, values: Values, ends: datetime) -> None:
    """What dates and the night find when every change was told: the lead as it is then."""
    n, date = values["n"], values["followUpAt"]
    if date is not None and datetime.fromisoformat(date) > ends:
        found.armed[lead] = date
    elif date is not None and values["leadStatus"] != "WON":
        found.runs[book.FOLLOW, lead, None, "SUCCESS"] += 1
        found.tasks[book.FOLLOW, lead, n] += 1
        found.calls.add((book.FOLLOW, lead, n))
    if values["score"] > 95:
        found.runs[book.NIGHTLY, lead, None, "SUCCESS"] += 1
        found.notes[(book.NIGHTLY, lead, n), values["owner"]] += 1


def _call(found: Expected, said: Said) -> None:
    found.calls.add(said)
    order = found.call_order.setdefault(said[1], [])
    order.append(said)
    order.sort(key=lambda one: (one[2], _CALL_ORDER[one[0]]))
