"""Rules in YAML files: a list of rules in the documents' words. A rule in a file is known by its name within the tenant.

Everything that is wrong is told at once with file and pointer; then nothing is imported.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from domain.rules import commands, reads, store
from domain.rules.checking import check_document
from domain.rules.commands import Saved, Wish, as_document
from domain.rules.known import KnownNames
from domain.rules.problems import Language, Problem, errors
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
    found = _twice(rules, language)
    for one in rules:
        found += _rows(one, check_document(one.document, KnownNames())[1], language)
    return found


async def import_rules(
    conn: Connection, caller: Caller, rules: Sequence[Written], wish: Wish, *, most: int
) -> list[Imported] | list[Row]:
    """All of them, or none and every problem: rows where something is wrong, and then the caller rolls back.

    One that says what is stored stays as it is.
    """
    stored = await reads.all_definitions(conn, caller.tenant_id)
    names = Counter(told.name for told in stored.values())
    ids = {told.name: rule_id for rule_id, told in stored.items()}
    wrong, definitions = _twice(rules, wish.language), []
    for one in rules:
        definition, problems = await commands.judge(conn, caller.tenant_id, one.document)
        wrong += _rows(one, errors(problems), wish.language)
        if names[one.name or ""] > 1:
            wrong.append(_row(one.file, f"/{one.place}/name", "ambiguous", wish.language))
        if definition is not None:
            definitions.append((one, definition))
    if wrong:
        return wrong
    done: list[Imported] = []
    for one, definition in definitions:
        rule_id = ids.get(definition.name)
        outcome = await _save(conn, caller, one, definition, rule_id, stored, wish, most)
        if isinstance(outcome, Rejected):
            refused: Row = {"file": one.file, "pointer": f"/{one.place}", "code": outcome.code, "message": outcome.message}
            return [refused]
        done.append(outcome)
    return done


async def _save(
    conn: Connection,
    caller: Caller,
    one: Written,
    definition: RuleDefinition,
    rule_id: str | None,
    stored: Mapping[str, RuleDefinition],
    wish: Wish,
    most: int,
) -> Imported | Rejected:
    if rule_id is None:
        saved = await commands.create_rule(conn, caller, one.document, wish, most=most)
        return _imported(saved, "created")
    if as_document(store.numbered(stored[rule_id])) == as_document(store.numbered(definition)):
        rule = await store.find_rule(conn, caller.tenant_id, rule_id)
        return commands.not_found(rule_id) if rule is None else _imported(Saved(rule), "unchanged")
    return _imported(await commands.replace_rule(conn, caller, rule_id, one.document, wish, None), "changed")


def _imported(saved: Saved | Rejected, outcome: str) -> Imported | Rejected:
    if isinstance(saved, Rejected):
        return saved
    return Imported(saved.rule.id, saved.rule.definition.name, saved.rule.version, outcome)


def as_yaml(definitions: Sequence[RuleDefinition]) -> str:
    """A file that can be imported again."""
    documents: list[Any] = [as_document(definition) for definition in definitions]
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


def _row(file: str, pointer: str, code: str, language: Language) -> Row:
    english, vietnamese = SENTENCES[code]
    message = vietnamese if language == "vi" else english
    return {"file": file, "pointer": pointer, "code": code, "severity": "error", "message": message}


SENTENCES: Mapping[str, tuple[str, str]] = {
    "yaml": ("The file is no YAML.", "Tệp không phải YAML."),
    "list": ("The file must be a list of rules.", "Tệp phải là một danh sách quy tắc."),
    "twice": ("Another rule of these files has this name.", "Một quy tắc khác trong các tệp này đã có tên này."),
    "ambiguous": ("The tenant has several rules of this name.", "Có nhiều quy tắc cùng tên này."),
}
