"""Rules in YAML files: a list of rules in the documents' words. A rule in a file is known by its name within the tenant.

Everything that is wrong is told at once with file and pointer; then nothing is imported.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from domain.rules import commands, reads, store
from domain.rules.checking import check_document
from domain.rules.commands import Saved, Wish, as_document
from domain.rules.graph import circles_through, edges_of
from domain.rules.known import KnownNames
from domain.rules.problems import Language, Problem, Severity, errors
from domain.rules.references import BY_ID, BY_NAME, with_ids, with_names
from runtime.ids import uuid7
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.rules import RuleDefinition


@dataclass(frozen=True, slots=True)
class Written:
    """One rule as it stands in a file."""

    file: str
    place: int
    document: object

    @property
    def name(self) -> str | None:
        name = self.document.get("name") if isinstance(self.document, dict) else None
        return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a rule of a file."""

    id: str
    name: str
    version: int
    outcome: str


Row = Mapping[str, str]


def read_rules(file: Path, language: Language = "en") -> tuple[list[Written], list[Row]]:
    """The file's rules, unread, or why there are none."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return [], [_row(str(file), "", "yaml", language)]
    if not isinstance(found, list) or not found:
        return [], [_row(str(file), "", "list", language)]
    return [Written(str(file), place, document) for place, document in enumerate(found)], []


def lint(rules: Sequence[Written], language: Language = "en") -> list[Row]:
    """What can be said without a database: names that would have to be looked up are not checked."""
    found, definitions = _twice(rules, language), dict[str, RuleDefinition]()
    for one in rules:
        # Here a rule's name is its id; one that no rule of the files has may be a stored rule's.
        definition, problems = check_document(with_ids(one.document, {})[0], KnownNames())
        found += _rows(one, problems, language)
        if definition is not None:
            definitions[definition.name] = definition
    edges = edges_of(definitions)
    for one in rules:
        if one.name in definitions and circles_through(one.name, edges):
            found.append(_row(one.file, f"/{one.place}", "circle", language, severity="warning"))
    return found


async def import_rules(
    conn: Connection, caller: Caller, rules: Sequence[Written], wish: Wish, *, most: int
) -> list[Imported] | list[Row]:
    """All of them, or none and every problem: rows where something is wrong, and then the caller rolls back.

    One that says what is stored stays as it is. Rules may name each other in any order and in circles.
    """
    stored = await reads.all_definitions(conn, caller.tenant_id)
    counted = Counter(told.name for told in stored.values())
    ids = {told.name: rule_id for rule_id, told in stored.items() if counted[told.name] == 1}
    ids |= {one.name: str(uuid7()) for one in rules if one.name is not None and one.name not in counted}
    beside = frozenset(ids.values())
    wrong, definitions = _twice(rules, wish.language), list[tuple[Written, RuleDefinition]]()
    for one in rules:
        document, missing = with_ids(one.document, ids)
        definition, problems = await commands.judge(conn, caller.tenant_id, document, beside=beside)
        unnamed = {place.replace(BY_NAME, BY_ID) for place in missing}
        wrong += _rows(one, [problem for problem in errors(problems) if problem.pointer not in unnamed], wish.language)
        wrong += [_row(one.file, f"/{one.place}{place}", "rule-name", wish.language) for place in missing]
        if counted[one.name or ""] > 1:
            wrong.append(_row(one.file, f"/{one.place}/name", "ambiguous", wish.language))
        if definition is not None:
            definitions.append((replace(one, document=document), definition))
    if wrong:
        return wrong
    save, done = _Saving(conn, caller, wish, most, stored, beside), list[Imported]()
    for one, definition in definitions:
        outcome = await save(one, definition, ids[definition.name])
        if isinstance(outcome, Rejected):
            refused: Row = {"file": one.file, "pointer": f"/{one.place}", "code": outcome.code, "message": outcome.message}
            return [refused]
        done.append(outcome)
    return done


@dataclass(frozen=True, slots=True)
class _Saving:
    """Saves one rule of a file after the other; `stored`: the rules as they were before, by id."""

    conn: Connection
    caller: Caller
    wish: Wish
    most: int
    stored: Mapping[str, RuleDefinition]
    beside: AbstractSet[str]

    async def __call__(self, one: Written, definition: RuleDefinition, rule_id: str) -> Imported | Rejected:
        conn, caller, document = self.conn, self.caller, one.document
        if rule_id not in self.stored:
            saved = await commands.create_rule(
                conn, caller, document, self.wish, most=self.most, rule_id=rule_id, beside=self.beside
            )
            return _imported(saved, "created")
        if as_document(store.numbered(self.stored[rule_id])) == as_document(store.numbered(definition)):
            rule = await store.find_rule(conn, caller.tenant_id, rule_id)
            return commands.not_found(rule_id) if rule is None else _imported(Saved(rule), "unchanged")
        changed = await commands.replace_rule(conn, caller, rule_id, document, self.wish, None, beside=self.beside)
        return _imported(changed, "changed")


def _imported(saved: Saved | Rejected, outcome: str) -> Imported | Rejected:
    if isinstance(saved, Rejected):
        return saved
    return Imported(saved.rule.id, saved.rule.definition.name, saved.rule.version, outcome)


def as_yaml(rules: Mapping[str, RuleDefinition]) -> str:
    """A file that can be imported again, here and elsewhere. `rules`: by id."""
    counted = Counter(told.name for told in rules.values())
    names = {rule_id: told.name for rule_id, told in rules.items() if counted[told.name] == 1}
    documents: list[Any] = [with_names(as_document(told), names) for told in rules.values()]
    return yaml.safe_dump(documents, sort_keys=False, allow_unicode=True, width=120)


def _twice(rules: Sequence[Written], language: Language) -> list[Row]:
    seen, found = set[str](), list[Row]()
    for one in rules:
        if one.name is not None and one.name in seen:
            found.append(_row(one.file, f"/{one.place}/name", "twice", language))
        seen.add(one.name or "")
    return found


def _rows(one: Written, problems: Sequence[Problem], language: Language) -> list[Row]:
    told = [commands.problem_row(problem, language) for problem in problems]
    return [{"file": one.file, **row, "pointer": f"/{one.place}{row['pointer']}"} for row in told]


def _row(file: str, pointer: str, code: str, language: Language, *, severity: Severity = "error") -> Row:
    english, vietnamese = SENTENCES[code]
    message = vietnamese if language == "vi" else english
    return {"file": file, "pointer": pointer, "code": code, "severity": severity, "message": message}


SENTENCES: Mapping[str, tuple[str, str]] = {
    "yaml": ("The file is no YAML.", "Tệp không phải YAML."),
    "list": ("The file must be a list of rules.", "Tệp phải là một danh sách quy tắc."),
    "twice": ("Another rule of these files has this name.", "Một quy tắc khác trong các tệp này đã có tên này."),
    "rule-name": (
        "No rule of these files has this name, and not exactly one rule of the tenant.",
        "Không quy tắc nào trong các tệp có tên này, và cũng không có đúng một quy tắc đã lưu có tên này.",
    ),
    "circle": (
        "The rule can come back to itself; the loop guard ends that and opens an incident.",
        "Quy tắc có thể tự kích hoạt lại chính nó; bộ chặn vòng lặp sẽ dừng và mở sự cố.",
    ),
    "ambiguous": ("The tenant has several rules of this name.", "Có nhiều quy tắc cùng tên này."),
}
