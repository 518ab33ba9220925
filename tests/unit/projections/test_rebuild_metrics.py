"""What Prometheus sees of rebuilds."""

from prometheus_client import REGISTRY

from projections.rebuild import metrics


def row(state: str, **figures: float) -> dict[str, object]:
    return {"name": "case_work", "state": state, "speed": 250.0, "total": 1000, "applied": 400, "errors": 2, **figures}


def shown(name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"table": "case_work"})


def test_open_rebuilds_show_rate_rest_pauses_and_errors() -> None:
    metrics.show([row("scanning"), row("catching-up", total=10, applied=20)])
    names = ("rebuild_rate", "rebuild_remaining", "rebuild_paused", "rebuild_errors")
    assert [shown(name) for name in names] == [500, 600, 0, 4]
    metrics.show([row("paused")])
    assert [shown(name) for name in names] == [0, 600, 1, 2], "nothing is read while it is paused"
    metrics.show([])
    assert [shown(name) for name in names] == [None] * 4
