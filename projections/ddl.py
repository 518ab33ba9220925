"""The statements of table versions: what a spec becomes in SQL. Text only; nothing here runs anything.

Owns the one quoting function. Never emits a drop, a narrowing or any other change of an existing table that it was not asked
for by name: a mapping change that alters rows is another version, with a table of its own (CD-12, trap 87).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from domain.cases.conversions import ColumnType
from domain.cases.mapping.names import MAX_BYTES, column_problem, fold, table_problem
from domain.cases.mapping.tables import ChildSpec, ColumnSpec, TableSpec
from domain.cases.sensitivity import stored_sql

SCHEMA, VIEW_SCHEMA = "projections", "analytics"
# Who reads a view. Others get their rights from their own administrator; a switch keeps them.
READERS = ("cs_api", "cs_analyst")

_KEY = (("tenant_id", "text not null", "Tenant"), ("case_id", "text not null", "Case"))
SYSTEM_COLUMNS = (
    *_KEY,
    ("snapshot_version", "bigint not null", "Version of the snapshot that the row was made of"),
    ("subject_id", "text not null", "Whose data it is"),
    ("tombstone", "text", "removed or erased; every mapped column is empty then"),
)
CHILD_COLUMNS = (*_KEY, ("position", "integer not null", "Place in the list, from 0"))


def quote(identifier: str) -> str:
    """The identifier in SQL. Raises ValueError for one that PostgreSQL would cut or refuse."""
    size = len(identifier.encode("utf-8", "surrogatepass"))
    if not 0 < size <= MAX_BYTES or "\x00" in identifier:
        raise ValueError(f"an identifier of {size} bytes: expected 1 to {MAX_BYTES}, without NUL")
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as an SQL string, whatever standard_conforming_strings says."""
    quoted = text.replace("\x00", "").replace("\\", "\\\\").replace("'", "''")
    return f"E'{quoted}'"


def table_name(name: str, version: int) -> str:
    """A version's table, without schema: `case_plain_order_case__v3`."""
    return f"{name}__v{version}"


def place(name: str, version: int) -> str:
    """A version's table as statements name it."""
    return f"{quote(SCHEMA)}.{quote(table_name(name, version))}"


def view_place(name: str) -> str:
    """The view as statements name it."""
    return f"{quote(VIEW_SCHEMA)}.{quote(name)}"


def digest(statements: Sequence[str]) -> str:
    """SHA-256 of the text that is shown, stored and approved."""
    return sha256(text_of(statements).encode()).hexdigest()


def text_of(statements: Sequence[str]) -> str:
    """The statements as a migration file has them."""
    return "".join(f"{statement};\n" for statement in statements)


def create_statements(spec: TableSpec, version: int) -> list[str]:
    """The tables of one version: columns, keys, comments, rights. Raises ValueError for a name or type that lint refuses."""
    _refuse_names(spec, version)
    statements = [
        _create(place(spec.name, version), SYSTEM_COLUMNS, spec.columns, ("tenant_id", "case_id")),
        # Erasing a subject and the ledger's check find its rows by this. The tenant comes last in every index but the key's:
        # while the table has no statistics, an index that leads with it ties with the key for look-ups by case under row
        # security, and each look-up then reads the tenant's whole table.
        f"create index on {place(spec.name, version)} (subject_id, tenant_id)",
        *_indexes(spec, version),
        *_rights_and_comments(spec.name, version, _about(spec, version), SYSTEM_COLUMNS, spec.columns),
    ]
    for child in spec.children:
        key = ("tenant_id", "case_id", "position")
        statements.append(_create(place(child.name, version), CHILD_COLUMNS, child.columns, key))
        about = f"One row per element of {child.prefix} of {spec.name}, version {version}"
        statements += _rights_and_comments(child.name, version, about, CHILD_COLUMNS, child.columns)
    return statements


def retire_statements(spec: TableSpec | str, version: int) -> list[str]:
    """The tables of one version go, and nothing that depends on them with them. A built-in table is given by its name."""
    names = [spec] if isinstance(spec, str) else [spec.name, *(child.name for child in spec.children)]
    return [f"drop table if exists {place(name, version)}" for name in reversed(names)]


class View:
    """One view of `analytics` over one version: its columns in order, and which rows it leaves out."""

    def __init__(self, name: str, version: int, columns: Sequence[tuple[str, str]], where: str = "") -> None:
        self.name, self.version, self.columns, self.where = name, version, tuple(columns), where

    def statements(self, *, replace: bool) -> list[str]:
        """Replace keeps rights and whatever stands on the view; the other way drops it first and begins anew."""
        target = view_place(self.name)
        names = ", ".join(quote(column) for column, _ in self.columns)
        select = f"select {names} from {place(self.name, self.version)}{self.where}"  # noqa: S608 - quoted here
        options = "with (security_invoker = true)"
        made = (
            [f"create or replace view {target} {options} as {select}"]
            if replace
            else [f"drop view if exists {target}", f"create view {target} {options} as {select}"]
        )
        return [
            *made,
            f"grant select on {target} to {', '.join(READERS)}",
            f"comment on view {target} is {literal(f'Serves version {self.version}')}",
            *(
                f"comment on column {target}.{quote(column)} is {literal(comment)}"
                for column, comment in self.columns
                if comment
            ),
        ]


@dataclass(frozen=True, slots=True)
class Right:
    """What a role may do with a view, or with one column of it. `given_by`: somebody else than the owner handed it on."""

    role: str
    privilege: str
    column_name: str | None
    grantable: bool
    given_by: str | None

    def statement(self, target: str) -> str:
        """The grant that gives it again. A privilege is the catalogue's own word."""
        column = f" ({quote(self.column_name)})" if self.column_name else ""
        role = "public" if self.role == "public" else quote(self.role)
        option = " with grant option" if self.grantable else ""
        return f"grant {self.privilege}{column} on {target} to {role}{option}"


def views_of(spec: TableSpec, version: int) -> list[View]:
    """The views over a version: the table without tombstones, and one per child table."""
    shown = [(name, comment) for name, _, comment in SYSTEM_COLUMNS[:3]]
    views = [View(spec.name, version, [*shown, *_commented(spec.columns)], " where tombstone is null")]
    for child in spec.children:
        keys = [(name, comment) for name, _, comment in CHILD_COLUMNS]
        views.append(View(child.name, version, [*keys, *_commented(child.columns)]))
    return views


def may_replace(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> bool:
    """Whether `create or replace view` can do it: the old columns, same names and types, come first."""
    return tuple(new[: len(old)]) == tuple(old)


def _indexes(spec: TableSpec, version: int) -> list[str]:
    """By which people look a case up. It never changes, so updates stay cheap; equality of texts is used below row security."""
    if any(column.name == "business_key" and column.type == "text" for column in spec.columns):
        return [f"create index on {place(spec.name, version)} (business_key, tenant_id)"]
    return []


def _create(target: str, system: Iterable[tuple[str, str, str]], columns: Iterable[ColumnSpec], key: Sequence[str]) -> str:
    lines = [
        *(f"{quote(name)} {definition}" for name, definition, _ in system),
        *(f"{quote(column.name)} {stored_sql(ColumnType.parse(column.type), column.sensitivity)}" for column in columns),
        f"primary key ({', '.join(key)})",
    ]
    return f"create table {target} (\n    " + ",\n    ".join(lines) + "\n)"


def _rights_and_comments(
    name: str, version: int, about: str, system: Iterable[tuple[str, str, str]], columns: Iterable[ColumnSpec]
) -> Iterator[str]:
    target = place(name, version)
    yield f"select public.grant_table_version({literal(target)}::regclass)"
    yield f"comment on table {target} is {literal(about)}"
    for column, comment in [*((name, comment) for name, _, comment in system), *_commented(columns)]:
        if comment:
            yield f"comment on column {target}.{quote(column)} is {literal(comment)}"


def _commented(columns: Iterable[ColumnSpec]) -> list[tuple[str, str]]:
    return [(column.name, column.comment) for column in columns]


def _about(spec: TableSpec, version: int) -> str:
    classes = ", ".join(sorted(spec.feeds)) or "no class"
    return f"One row per case of {classes}, version {version}, mapping {spec.fingerprint()[:12]}"


def _refuse_names(spec: TableSpec, version: int) -> None:
    """Lint has refused these long ago; what makes statements does not rely on it."""
    problems = [f"table {name!r} {problem}" for name in _tables(spec) if (problem := _problem(name, table_problem(name)))]
    parts: list[TableSpec | ChildSpec] = [spec, *spec.children]
    for part in parts:
        problems += [
            f"column {column.name!r} of {part.name} {problem}"
            for column in part.columns
            if (problem := _problem(column.name, column_problem(column.name)))
        ]
        problems += [f"column {name!r} of {part.name} stands there twice" for name in _twice([c.name for c in part.columns])]
    problems += [f"table {name!r} stands there twice" for name in _twice(_tables(spec))]
    if version < 1:
        problems.append(f"version {version}: expected 1 or more")
    if problems:
        raise ValueError("; ".join(problems))


def _problem(name: str, problem: str | None) -> str | None:
    return problem or (None if fold(name) == name else "is not folded")


def _tables(spec: TableSpec) -> list[str]:
    return [spec.name, *(child.name for child in spec.children)]


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
