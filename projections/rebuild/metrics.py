"""What Prometheus sees of rebuilds: every process that runs projections shows the same, from the rows that all share."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Gauge

rate = Gauge("rebuild_rate", "Snapshots or records per second of the table's open rebuilds, smoothed over seconds.", ["table"])
remaining = Gauge(
    "rebuild_remaining", "What the table's open rebuilds have still to read, as far as it was measured.", ["table"]
)
paused = Gauge("rebuild_paused", "The table's open rebuilds that are paused; each has an incident.", ["table"])
errors = Gauge("rebuild_errors", "What could not be applied by the table's open rebuilds.", ["table"])


def show(rows: Iterable[Mapping[str, Any]]) -> None:
    """The open rebuilds as they stand now. A table has a second one only for a tenant on trial; their figures are added up."""
    sums: dict[tuple[Gauge, str], float] = defaultdict(float)
    for row in rows:
        is_paused = row["state"] == "paused"
        sums[rate, row["name"]] += 0 if is_paused else row["speed"]
        sums[remaining, row["name"]] += max(0, row["total"] - row["applied"])
        sums[paused, row["name"]] += is_paused
        sums[errors, row["name"]] += row["errors"]
    for gauge in (rate, remaining, paused, errors):
        # A rebuild that has ended shows no more.
        gauge.clear()
    for (gauge, table), value in sums.items():
        gauge.labels(table).set(value)
