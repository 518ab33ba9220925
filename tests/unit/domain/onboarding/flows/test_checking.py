"""Everything that is wrong with a definition, at once, with its line, in both languages."""

import re
from pathlib import Path
from random import Random

import pytest

from domain.onboarding.flows.checking import check, named_secrets, unknown_secrets
from domain.onboarding.flows.files import DEFAULT, read_directory, read_files, read_text, with_problems
from domain.onboarding.flows.problems import SENTENCES, WARNINGS, errors
from tests.unit.domain.onboarding.definitions import random_definition

GOOD = """\
flow: small
version: 1
initial: A
states:
  - name: A
  - {name: B, end: completed}
  - {name: C, end: rejected}
transitions:
  - {from: A, action: NEXT, to: B, actors: [USER], handler: work, outcomes: {NO: C}, compensation: UNDO_WORK}
handlers:
  - {name: work}
  - {name: UNDO_WORK}
"""
EVERYTHING_WRONG = """\
flow: small
version: 1
initial: NOWHERE
states:
  - name: A
    sla: {expiresAfter: 1h, remindAfter: [30m, 20m, 2h]}
  - {name: B, end: completed, sla: {expiresAfter: 1h}}
  - {name: A}
  - {name: LOST}
  - {name: R, review: {group: people}}
  - {name: X}
  - {name: Y}
  - {name: NO_END}
transitions:
  - {from: A, action: NEXT, to: B, actors: [USER], handler: work}
  - {from: A, action: NEXT, to: GONE, actors: [USER], handler: unknown, compensation: UNDO_GONE}
  - {from: B, action: NEXT, to: A, actors: [REVIEWER]}
  - {from: R, action: LATER, to: A, actors: [USER]}
  - {from: X, action: NEXT, to: Y, actors: [SYSTEM]}
  - {from: Y, action: NEXT, to: X, actors: [SYSTEM]}
  - {from: Y, action: OTHER, to: A, actors: [SYSTEM]}
  - {from: Y, action: MINE, to: A, actors: [USER]}
  - {from: NO_END, action: NEXT, to: NO_END, actors: [USER], handler: look, attemptTimeout: 2m, totalTimeout: 1m}
handlers:
  - {name: work}
  - {name: work}
  - {name: look, effects: false}
  - {name: spare, effects: false}
"""


def told(text: str, installed: frozenset[str] | None = None) -> list[tuple[int, str]]:
    return [(found.line, found.problem.code) for found in read_text(text, "x.yaml", installed).findings]


@pytest.mark.requirement("WF-11", "trap-63", "trap-64")
def test_the_flows_of_the_release_have_nothing_wrong() -> None:
    found = read_directory()
    assert [file.name for file in found] == sorted(f"definitions/flows/{path.name}" for path in DEFAULT.glob("*.yaml"))
    assert [finding for file in found for finding in file.findings] == []


@pytest.mark.requirement("WF-11")
def test_everything_that_is_wrong_is_told_at_once_with_its_line() -> None:
    assert told(EVERYTHING_WRONG) == [
        (3, "unknown-state"),
        (5, "unreachable"),
        (6, "reminder-late"),
        (6, "reminder-unordered"),
        (7, "sla-unused"),
        (7, "unreachable"),
        (8, "state-twice"),
        (8, "unreachable"),
        (9, "dead-end"),
        (9, "unreachable"),
        (10, "no-decision"),
        (10, "no-decision"),
        (10, "unreachable"),
        (11, "unreachable"),
        (12, "unreachable"),
        (13, "no-way-out"),
        (13, "unreachable"),
        (15, "no-compensation"),
        (16, "transition-twice"),
        (16, "unknown-handler"),
        (16, "unknown-handler"),
        (16, "unknown-state"),
        (17, "leaves-end"),
        (17, "no-review"),
        (18, "not-a-decision"),
        (19, "endless"),
        (21, "two-automatic"),
        (22, "never-taken"),
        (23, "attempt-beyond-total"),
        (26, "handler-twice"),
        (28, "handler-unused"),
    ]


def test_a_good_one_has_nothing_and_a_handler_that_is_not_installed_is_told() -> None:
    assert told(GOOD) == []
    assert told(GOOD, frozenset({"work", "UNDO_WORK"})) == []
    assert told(GOOD, frozenset({"work"})) == [(12, "handler-not-installed")]
    assert told(GOOD.replace("compensation: UNDO_WORK", "irreversible: a mail was sent")) == [(12, "handler-unused")]


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("version: 1", "version: one", 2, "whole number"),
        ("initial: A\n", "", 1, "missing"),
        ("name: A", "name: a", 5, "form"),
        ("actors: [USER]", "actors: []", 9, "fewer"),
        ("actors: [USER]", "actors: [CLERK]", 9, "not one of"),
        ("handler: work,", "", 9, "only for a transition with a handler"),
        ("handler: work,", "handler: work, totalTimeout: soon,", 9, "duration"),
        ("handler: work,", "handler: work, totalTimeout: 99999999d,", 9, "duration"),
        ("handler: work,", "handler: work, irreversible: no,", 9, "text is expected"),
        ("handler: work,", "handler: work, irreversible: it is,", 9, "there is one"),
        ("handler: work,", "handler: work, onFailure: {},", 9, "say review or to"),
        ("handler: work,", "handler: work, retries: 3,", 9, "no field of this name"),
    ],
)
def test_a_wrong_shape_has_its_line_and_a_sentence_in_both_languages(old: str, new: str, line: int, word: str) -> None:
    file = read_text(GOOD.replace(old, new, 1), "x.yaml")
    assert file.definition is None
    (finding,) = file.findings
    assert finding.line == line
    assert word in finding.problem.sentence()
    assert finding.problem.sentence("vi") != finding.problem.sentence("en")


def test_what_is_right_in_shape_is_checked_beside_what_is_not() -> None:
    text = EVERYTHING_WRONG.replace("initial: NOWHERE", "initial: A").replace("{name: LOST}", "{name: lost}")
    found = told(text)
    assert (9, "shape") in found
    assert {(8, "state-twice"), (16, "transition-twice"), (19, "endless"), (21, "two-automatic")} <= set(found)
    assert "unreachable" not in {code for _, code in found}, "the part that is wrong might lead there"


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("flow: a\nflow: b\n", 2, "duplicate-key"),
        ("a: ]", 1, "no-yaml"),
        ("a: &x 1\nb: *x\n", 1, "alias"),
        ("a: \x07", 1, "forbidden-character"),
        ("a: 2026-99-99\n", 1, "unfit-scalar"),
        ("[" * 20 + "]" * 20, 1, "too-deep"),
        ("x" * 4_000_001, 1, "too-long"),
    ],
)
def test_what_is_no_yaml_of_ours_is_told_with_its_line(text: str, line: int, code: str) -> None:
    assert (line, code) in told(text)


def test_an_empty_file_and_a_list_are_no_flow() -> None:
    assert [code for _, code in told("")] == ["shape"]
    assert [code for _, code in told("- a\n")] == ["shape"]


def test_two_files_of_one_version_and_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    for name, content in (("a.yaml", GOOD.encode()), ("b.yaml", GOOD.encode()), ("c.yaml", b"flow: a\n\xff")):
        (tmp_path / name).write_bytes(content)
    found = read_files(sorted(tmp_path.iterdir()))
    assert [[(one.line, one.problem.code) for one in file.findings] for file in found] == [
        [],
        [(2, "version-twice")],
        [(2, "not-utf8")],
    ]
    with pytest.raises(FileNotFoundError):
        read_directory(tmp_path / "none")


def test_every_sentence_has_both_languages_with_the_same_params() -> None:
    for code, (english, vietnamese) in SENTENCES.items():
        names = [set(re.findall(r"\{(\w+)\}", text)) for text in (english, vietnamese)]
        assert names[0] == names[1] or code == "shape", code
    assert set(SENTENCES) >= WARNINGS


def test_random_definitions_are_sound_but_for_undeclared_handlers() -> None:
    for seed in range(200):
        found = errors(check(random_definition(Random(seed))))
        assert {problem.code for problem in found} <= {"unknown-handler", "unreachable", "no-way-out"}


OUTSIDE = """\
flow: small
version: 1
initial: A
states:
  - {name: A}
  - {name: B, end: completed}
transitions:
  - {from: A, action: NEXT, to: B, actors: [USER], handler: pay, compensation: UNDO_PAY}
  - {from: A, action: ASK, to: B, actors: [USER], handler: ask, compensation: UNDO_PAY}
handlers:
  - name: pay
    kind: http
    url: http://payments.example.com/
    secret: pay_signing
  - {name: UNDO_PAY, kind: http}
  - name: ask
    kind: kafka
    topic: no.such.topic
"""


@pytest.mark.requirement("WF-11")
def test_what_a_handler_outside_lacks_is_told_with_its_line() -> None:
    file = read_text(OUTSIDE, "x.yaml")
    assert file.definition is not None
    assert named_secrets(file.definition) == {"pay_signing"}
    found = with_problems(file, unknown_secrets(file.definition, {"other"}))
    assert [(one.line, one.problem.code, one.problem.severity) for one in found.findings] == [
        (13, "url-not-https", "warning"),
        (14, "unknown-secret", "error"),
        (15, "no-url", "warning"),
        (18, "unknown-topic", "error"),
    ]
    assert with_problems(file, unknown_secrets(file.definition, {"pay_signing"})).findings == file.findings


@pytest.mark.parametrize(
    ("line", "told_names"),
    [
        ("{name: x, url: 'https://a.example'}", "url"),
        ("{name: x, kind: kafka, secret: s}", "secret"),
        ("{name: x, kind: http, topic: t}", "topic"),
        ("{name: x, input: [a], answerWithin: 1h}", "answerWithin, input"),
    ],
)
def test_a_handler_says_only_what_its_kind_has(line: str, told_names: str) -> None:
    (shape,) = [one for one in read_text(GOOD + f"  - {line}\n", "x").findings if one.problem.code == "shape"]
    assert shape.line == 13
    assert shape.problem.sentence().startswith(f"{told_names}: not for a handler of kind")
