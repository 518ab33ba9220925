"""docs/reference/metrics.md, generated from the metrics that the rooms register."""

import importlib

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from checks import ROOT, Report

PAGE = ROOT / "docs" / "reference" / "metrics.md"

# Where metrics are made, and the roles that show them.
MODULES = {
    "api.edge": "api",
    "outbox_relay.metrics": "relay",
    "processors.rule_metrics": "workflow-engine",
    "processors.shell.metrics": "work-items, projections",
    "projections.rebuild.metrics": "projections",
    "workers.effects.metrics": "effects",
    "workers.metrics": "workers, timers",
}

_HEAD = """# Metrics

<!-- Generated from the rooms' metrics modules by `make docs`. -->

Every process answers `/metrics` in Prometheus' text format: `api` on its own port, every other role on
`CASESTREAM_HEALTH__PORT` (0 takes a free port and logs it as `health page`). Beside them stand the client library's
`process_*` and `python_*`. Names that people already chart are kept: `kafka_consumergroup_lag` is that of the common Kafka
exporter, but counted from PostgreSQL's position. No tenant, key or id is ever a label.

The board and the alert rules in `deploy/` use these names; a test compares them.
"""


def check(report: Report, write: bool) -> None:
    report.generated(PAGE, page(), write)


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{metric._name}{_suffix(metric)}` | {metric._type} | {', '.join(metric._labelnames) or '-'} "
        f"| {metric._documentation} | {roles} |"
        for metric, roles in metrics()
    ]
    return _HEAD + "\n| name | type | labels | | role |\n|---|---|---|---|---|\n" + "\n".join(sorted(rows)) + "\n"


def metrics() -> list[tuple[MetricWrapperBase, str]]:
    """Every metric that our modules register, with the roles that show it."""
    found = []
    for name, roles in MODULES.items():
        module = importlib.import_module(name)
        found += [(value, roles) for value in vars(module).values() if isinstance(value, MetricWrapperBase)]
    assert all(metric in REGISTRY._collector_to_names for metric, _ in found), "a metric outside the common registry"
    return found


def sample_names() -> set[str]:
    """Every series name that a dashboard may ask for."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    return {metric._name + suffix for metric, _ in metrics() for suffix in suffixes[str(metric._type)]}


def _suffix(metric: MetricWrapperBase) -> str:
    return "_total" if metric._type == "counter" else ""
