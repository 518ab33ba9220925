"""What an event adds one to, and the one count that becomes an alert."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from processors.monitor.counting import HOUR, MINUTE, Counted, alert_of, counted_in
from schemas.envelope import CloudEvent

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def told(kind: str, **data: Any) -> CloudEvent:
    return CloudEvent(
        id="1", source="casestream", type=kind, tenant="acme", subject="i", time=AT, data=json.dumps(data).encode()
    )


def test_every_event_counts_as_throughput_and_some_as_more() -> None:
    throughput = Counted("acme", "throughput", "onboarding.events.v1", MINUTE)
    recovery = told("WORKFLOW_EVENT", eventType="RECOVERY", flow="loan")
    assert list(counted_in(recovery, "onboarding.events.v1")) == [throughput, Counted("acme", "recoveries", "loan", HOUR)]
    expired = told("WORKFLOW_EVENT", eventType="SLA_EXPIRED", flow="loan")
    assert list(counted_in(expired, "onboarding.events.v1"))[1:] == [Counted("acme", "sla-breaches", "loan", HOUR)]
    assert list(counted_in(told("WORKFLOW_EVENT", eventType="STEP_STARTED"), "onboarding.events.v1")) == [throughput]
    failed = told("RuleRunFinished", status="FAILED", ruleId="r-1")
    assert list(counted_in(failed, "rules.executions.v1"))[1:] == [Counted("acme", "failed-runs", "r-1", HOUR)]
    assert len(list(counted_in(told("RuleRunFinished", status="SUCCESS", ruleId="r-1"), "rules.executions.v1"))) == 1
    assert len(list(counted_in(told("OfALaterRelease", status="FAILED"), "rules.executions.v1"))) == 1


@pytest.mark.parametrize("data", [b"[1]", b"{", b'"RECOVERY"'])
def test_data_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(counted_in(replace(told("WORKFLOW_EVENT"), data=data), "onboarding.events.v1"))


@pytest.mark.requirement("WF-8")
def test_the_first_count_above_the_limit_is_the_alert_and_no_other() -> None:
    counted = Counted("acme", "recoveries", "loan", HOUR)
    alerts = {count: alert_of(counted, count, 10, AT.timestamp()) for count in range(1, 40)}
    assert [count for count, alert in alerts.items() if alert is not None] == [11]
    payload = alerts[11]
    assert payload is not None
    assert payload.payload.model_dump(mode="json", by_alias=True, exclude={"schema_version"}) == {
        "kind": "recoveries",
        "about": "loan",
        "tenantId": "acme",
        "count": 11,
        "limit": 10,
        "windowFrom": "2026-01-05T08:00:00Z",
        "windowTo": "2026-01-05T09:00:00Z",
    }


def test_an_alert_is_known_again_by_its_id() -> None:
    counted, began = Counted("acme", "recoveries", "loan", HOUR), AT.timestamp()
    ids = [
        alert.id if (alert := alert_of(one, 11, 10, at)) else None
        for one, at in (
            (counted, began),
            (counted, began),
            (counted, began + HOUR),
            (replace(counted, about="card"), began),
            (replace(counted, tenant_id="other"), began),
            (replace(counted, kind="sla-breaches"), began),
        )
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5
