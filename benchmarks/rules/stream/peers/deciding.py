"""The same ten rules as a programmer would write them, and the rows that a match writes. Shared by both peers.

`REMEMBER`: each event is first written down, so that one that comes again is dropped, as our inbox does. Without it only
matches are written, and their primary keys drop what comes again.
"""

import json
import os
import time
from typing import Any
from uuid import UUID, uuid5

import orjson

REMEMBER = os.environ["PEER_REMEMBER"] == "1"
LEAST = int(os.environ["PEER_LEAST"])
EVENTS = int(os.environ["PEER_EVENTS"])
TOPIC = os.environ["PEER_TOPIC"]
BOOTSTRAP = os.environ["PEER_BOOTSTRAP"]
DATABASE_URL = os.environ["PEER_DATABASE_URL"]
NAMESPACE = UUID("6d5b0b8e-2f0b-5f0e-8c39-7e0d2c1f4a90")
RULE = UUID("00000000-0000-7000-8000-000000000001")

INBOX = "insert into peer_inbox (tenant_id, group_name, source, event_id) values ({}, 'peer', 'crm', {}) on conflict do nothing"
LOG = """
insert into peer_log (tenant_id, id, rule_id, rule_version, rule_name, entity_type, entity_id, subject_id, trigger_type,
    occurrence, status, started_at, input_data, output_data, trace, actions_total)
values ({}, {}, {}, 1, 'hot', 'LEAD', {}, {}, 'ON_UPDATE', {}, 'RUNNING', now(), {}, {}, {}, 1) on conflict do nothing"""
EFFECT = """
insert into peer_effects (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, request,
    order_key, position, subject_id, state, due_at)
values ({}, {}, 'rule-run', {}, 0, '', 'webhook', 'hooks.example', {}, {}, 1, {}, 'due', now()) on conflict do nothing"""

_NEVER = [(f"word{number}", 1_000_000 + number) for number in range(1, 10)]


class Clock:
    """When the first and the last event was done, and the CPU time between them."""

    def __init__(self) -> None:
        self.read = 0
        self.first = self.began = 0.0

    def done(self) -> bool:
        """Counts one event; True at the last."""
        self.read += 1
        if self.read == 1:
            self.first, self.began = time.monotonic(), time.process_time()
        return self.read >= EVENTS

    def say(self) -> None:
        told = {"read": self.read - 1, "first": self.first, "last": time.monotonic(), "cpu": time.process_time() - self.began}
        # Past what a framework makes of standard output.
        os.write(1, json.dumps(told).encode() + b"\n")


def decide(event: dict[str, Any]) -> list[str]:
    """Names of the rules that match."""
    if event["entityType"] != "LEAD" or event["changeType"] != "UPDATE":
        return []
    new = event["newValues"]
    score, city, note, amount = new.get("score"), new.get("city"), new.get("note"), new.get("amount")
    found = ["hot"] if score is not None and score >= LEAST else []
    for number, (word, least) in enumerate(_NEVER, 1):
        if city == "Hue" and note is not None and word in note.casefold() and amount is not None and amount > least:
            found.append(f"never {number}")
    return found


def rows(event: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The parameters of LOG and of EFFECT."""
    tenant, lead, new = event["tenantId"], event["entityId"], event["newValues"]
    occurrence = f"event|crm|{event['eventId']}"
    run = uuid5(NAMESPACE, f"{tenant}|{RULE}|{lead}|{occurrence}")
    effect = uuid5(NAMESPACE, f"{run}|0")
    told = json.dumps({"eventId": event["eventId"], "changeType": event["changeType"]})
    trace = json.dumps({"matched": True, "conditions": [{"field": "score", "value": new["score"], "met": True}]})
    request = orjson.dumps(
        {"url": "https://hooks.example/crm", "method": "POST", "body": json.dumps({"id": lead, "score": new["score"]})}
    )
    subject = f"LEAD/{lead}"
    log = (tenant, run, RULE, lead, subject, occurrence, told, '{"actions": []}', trace)
    return log, (tenant, effect, str(run), request, f"{subject}|hooks.example", subject)
