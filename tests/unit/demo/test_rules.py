"""The chapter of rules: its oracle against the rules themselves, its input, and books that tell when something is missing."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from demo.generator import incidents
from demo.rules.books import RuleBooks
from demo.rules.events import Event, Upstream
from demo.rules.incidents import IncidentLog
from demo.rules.oracle import ON_EVENT, expected
from demo.rules.outside import HOOK_FAULTS, Heard, Outside
from demo.rules.preparing import FILES, copy_rules
from demo.rules.report import show_rules
from demo.rules.skipped import index_of, reasons
from demo.rules.traffic import traffic
from domain.rules.change import change_of
from domain.rules.checking import check_document
from domain.rules.known import KnownNames
from domain.work_items.import_mapping import load_mapping
from schemas.entities import EntityChangeEvent

DEFINITIONS = Path(__file__).parents[3] / "definitions"
MAPPING = load_mapping(DEFINITIONS / "demo" / "incidents.yaml")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULES = [rule for name in FILES for rule in yaml.safe_load((DEFINITIONS / "rules" / name).read_text(encoding="utf-8"))]


def told(run: str = "r", count: int = 300) -> list[Event]:
    upstream = Upstream("north", run)
    return [*traffic(upstream, NOW), *IncidentLog(list(incidents(count)), MAPPING).events(upstream, NOW)]


def test_the_oracle_and_the_rules_of_the_files_name_the_same_events() -> None:
    fired: Counter[str] = Counter()
    index, events = index_of(RULES), told()
    for event in events:
        change = change_of(EntityChangeEvent.model_validate(event))
        fired.update(rule.definition.name for rule, _ in index.candidates("demo", change) if rule.matches(change, NOW))
    wanted = expected(events, NOW).fired
    assert fired == Counter({rule: wanted[rule] for rule in ON_EVENT})
    assert all(wanted[rule["name"]] for rule in RULES), "every rule has something to do"


def test_an_upstream_counts_each_entitys_changes_and_tells_what_was_before() -> None:
    last: dict[str, dict[str, Any]] = {}
    for event in told():
        before = last.get(event["entityId"])
        assert event["entityVersion"] == (before["entityVersion"] + 1 if before else 1)
        assert event["oldValues"] == (before and before["newValues"])
        last[event["entityId"]] = event
    ids = [{event["eventId"] for event in told(run)} for run in ("r", "r", "s")]
    assert ids[0] == ids[1]
    assert not ids[0] & ids[2]


def test_the_log_ends_now_and_nobody_waits_for_nearly_a_day() -> None:
    last = {event["entityId"]: event for event in told() if event["entityType"] == "INCIDENT"}
    assert max(datetime.fromisoformat(event["timestamp"]) for event in last.values()) <= NOW
    waits = [NOW - datetime.fromisoformat(event["newValues"]["stateSince"]) for event in last.values()]
    assert not [wait for wait in waits if timedelta(hours=23, minutes=45) <= wait <= timedelta(days=1)]


def test_a_tenants_copy_passes_the_check_and_keeps_every_rule(tmp_path: Path) -> None:
    copies = copy_rules(tmp_path, "20260601", "http://127.0.0.1:9")
    written = [rule for file in (*copies.watching, copies.clocked) for rule in yaml.safe_load(file.read_text(encoding="utf-8"))]
    assert {rule["name"] for rule in written} == {rule["name"] for rule in RULES}
    assert [check_document(rule, KnownNames())[1] for rule in written] == [[]] * len(RULES)
    assert "hooks.example.com" not in "".join(map(str, written))


def test_reasons_name_the_condition_that_was_in_the_way() -> None:
    found = reasons(RULES, told(), NOW)
    assert found["Give leads from the website to a sales person", "not met: leadSource = WEBSITE"] == 92
    assert found["Tell the manager about a large deal", "it was so before the change too"] == 45


def test_only_a_first_attempt_meets_a_fault() -> None:
    outside, heard = Outside(1, 2), Heard()
    first, second = ([outside.fault(str(number), heard, HOOK_FAULTS) for number in range(1_000)] for _ in range(2))
    assert set(first) == {"", *HOOK_FAULTS}
    assert set(second) == {""}
    assert heard.faults == Counter(fault for fault in first if fault)


def balanced() -> RuleBooks:
    events = told()
    wanted = expected(events, NOW)
    books = RuleBooks(wanted, Outside(1, 2), len(events))
    books.tally.accepted, books.kills = len(events), [0.1, 0.1]
    for rule, count in wanted.fired.items():
        books.runs[rule, "SUCCESS"] = count - wanted.unaddressed[rule]
        books.runs[rule, "FAILED"] = wanted.unaddressed[rule]
    for number, subject in enumerate(wanted.mails.elements()):
        books.outside.mails.note(f"m{number}", subject)
    for number, (hook, incident, change) in enumerate(sorted(wanted.calls.elements(), key=lambda call: call[2])):
        books.outside.hooks.note(f"c{number}", (f"/incidents/{hook}", {"incident": incident, "change": change}))
    books.tasks, books.notifications = wanted.tasks, wanted.notifications
    books.assigned.update(a=wanted.assigned // 2, b=wanted.assigned - wanted.assigned // 2)
    return books


def test_books_that_add_up_have_no_problem_also_when_calls_were_repeated() -> None:
    books = balanced()
    books.outside.hooks.note("c0", books.outside.hooks.first["c0"])
    books.outside.mails.note("m0", books.outside.mails.first["m0"])
    assert books.problems() == []
    assert (books.outside.hooks.repeated, books.outside.mails.repeated) == (1, 1)


def test_a_lost_mail_a_second_id_a_doubled_run_and_disorder_are_each_named() -> None:
    lost, doubled, again, disorder = balanced(), balanced(), balanced(), balanced()
    lost.outside.mails.first.pop("m0")
    doubled.outside.hooks.note("another", doubled.outside.hooks.first["c0"])
    again.runs["Proposal mail", "SUCCESS"] += 1
    disorder.outside.hooks.first = dict(reversed(disorder.outside.hooks.first.items()))
    unsigned = balanced()
    unsigned.outside.hooks.unsigned = 1
    unfair = balanced()
    unfair.assigned = Counter(a=unfair.expected.assigned)
    unfair.assigned.update(a=-3, b=3)
    named = [books.problems() for books in (lost, doubled, again, disorder, unsigned, unfair)]
    assert [problems[0].split(":")[0].split(" north")[0][:18] for problems in named] == [
        "distinct mails Wel",
        "distinct webhooks ",
        "runs of Proposal m",
        "webhooks of an inc",
        "webhooks whose sig",
        "a person got 42 le",
    ]


def test_the_report_says_whether_the_books_balance_and_where_not() -> None:
    whole, lost = balanced(), balanced()
    lost.tasks -= 1
    for books in (whole, lost):
        books.explained = {"version": 1, "verdict": "It did not fire.", "explanation": ["not met: a = 1; it saw 2"]}
    told = StringIO()
    assert show_rules(Console(file=told, width=160), whole)
    assert "The books of the rules balance." in told.getvalue()
    assert not show_rules(Console(file=told, width=160), lost)
    assert f"tasks: found {lost.tasks}, should be {whole.tasks}" in told.getvalue()
