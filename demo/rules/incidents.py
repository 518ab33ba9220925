"""The incident log as an upstream's entity changes: the log until nine of ten updates are made, moved so that this is now.

So there is a present: some incidents are closed, others wait for their users, and "for over a day" means something.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.rules.events import Event, Upstream
from domain.work_items.import_mapping import ImportMapping
from domain.work_items.importing import Row

# Who waits for nearly a day at the cut will have waited for more before the demo is over: such incidents are left out.
_NEARLY = timedelta(hours=23, minutes=45)
_DAY = timedelta(days=1)


class IncidentLog:
    """The rows of each incident in their order, and the moment that is taken for now."""

    def __init__(self, rows: Sequence[Row], mapping: ImportMapping) -> None:
        self._columns = mapping.columns
        histories: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            histories[row[self._columns.item]].append(row)
        order = self._columns.order
        ordered = [sorted(history, key=lambda row: int(row[order])) for history in histories.values()]
        moments = sorted(map(self._at, rows))
        self.cut = moments[len(moments) * 9 // 10]
        self._histories = [history for history in ordered if not self._crosses(history)]

    def events(self, upstream: Upstream, now: datetime) -> Iterator[Event]:
        """All changes until the cut, in the order of time; those of an incident in their own order."""
        told = []
        for history in self._histories:
            latest = datetime.min.replace(tzinfo=UTC)
            for place, (row, since) in enumerate(self._until_cut(history)):
                latest = max(latest, self._at(row))
                told.append((latest, row[self._columns.item], place, row, since))
        later = now - self.cut
        for _, number, _, row, since in sorted(told, key=lambda one: one[:3]):
            yield upstream.tell("INCIDENT", number, self._values(row, since + later), self._at(row) + later)

    def _until_cut(self, history: Sequence[Row]) -> Iterator[tuple[Row, datetime]]:
        """Each row, and when the incident came into the row's state."""
        state, since = None, self._at(history[0])
        for row in history:
            if self._at(row) > self.cut:
                return
            if row[self._columns.state] != state:
                state, since = row[self._columns.state], self._at(row)
            yield row, since

    def _crosses(self, history: Sequence[Row]) -> bool:
        last = list(self._until_cut(history))[-1:]
        return any(_NEARLY <= self.cut - since <= _DAY for _, since in last)

    def _at(self, row: Row) -> datetime:
        return self._columns.instant(row[self._columns.at])

    def _values(self, row: Row, since: datetime) -> dict[str, Any]:
        caller = self._known(row.get("caller_id"))
        return {
            "number": row[self._columns.item],
            "state": row[self._columns.state],
            "stateSince": since.isoformat(),
            "priority": self._known(row.get("priority")),
            "assignedTo": self._known(row[self._columns.assignee]),
            "assignmentGroup": self._known(row.get("assignment_group")),
            "reassignmentCount": int(row.get("reassignment_count") or 0),
            "madeSla": (row.get("made_sla") or "true").lower() != "false",
            "modCount": int(row[self._columns.order]),
            "callerEmail": caller and f"{caller.replace(' ', '-').lower()}@example.org",
        }

    def _known(self, value: str | None) -> str | None:
        return None if value in (None, "", self._columns.none) else value
