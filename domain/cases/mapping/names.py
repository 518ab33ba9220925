"""Which names a mapping may give to columns and tables: pure, for `lint` and for whoever writes DDL.

A name is compared after NFKC and case folding, because SQL folds too. Nothing is ever cut to PostgreSQL's 63 bytes: a
name that would be is refused, so two names can never become one by losing their ends.
"""

import re
import unicodedata

MAX_BYTES = 63
# Room for `__v<n>` behind a table's name, up to version 99,999.
VERSION_BYTES = len("__v99999")
MAX_TABLE_BYTES = MAX_BYTES - VERSION_BYTES

SYSTEM_COLUMNS = frozenset("tenant_id case_id snapshot_version subject_id tombstone position".split())
# pg_attribute refuses these for every table.
POSTGRES_COLUMNS = frozenset("tableoid xmin cmin xmax cmax ctid oid".split())
# Reserved in PostgreSQL 18, with those that may name a function or a type only (pg_get_keywords: R and T).
RESERVED_WORDS = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
    concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
    full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning
    right select session_user similar some symmetric system_user table tablesample then to trailing true union unique user
    using variadic verbose when where window with
    """.split()
)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_VERSIONED = re.compile(r"__v[0-9]+(_|$)")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def fold(name: str) -> str:
    """The name as SQL sees it: `CREATED_AT` is `created_at`, full-width letters are plain ones."""
    return unicodedata.normalize("NFKC", name).casefold()


def snake_case(name: str) -> str:
    """`com.app.OrderCase` -> `order_case`: the last segment, for the table of a class that names none."""
    return _HUMP.sub("_", name.rsplit(".", 1)[-1]).lower()


def column_problem(name: str) -> str | None:
    """Why this cannot be a mapped column, or None. Never quotes the name into SQL: it is refused, not repaired."""
    folded = fold(name)
    if problem := _identifier_problem(folded, MAX_BYTES):
        return problem
    if folded in SYSTEM_COLUMNS:
        return "is a column that every case table has already"
    return None


def table_problem(name: str) -> str | None:
    """Why this cannot be a table's name, or None: the rules of columns, and room for the version."""
    folded = fold(name)
    if problem := _identifier_problem(folded, MAX_TABLE_BYTES):
        return problem
    if _VERSIONED.search(folded):
        return "looks like a version of another table: __v and a number are put behind the name by us"
    return None


def _identifier_problem(folded: str, limit: int) -> str | None:
    if not folded:
        return "is empty"
    if len(folded.encode("utf-8", "surrogatepass")) > limit:
        return f"has {len(folded.encode('utf-8', 'surrogatepass'))} bytes, of which {limit} are allowed"
    if not _IDENTIFIER.fullmatch(folded):
        return "must begin with a letter and have only a-z, 0-9 and _"
    if folded in RESERVED_WORDS:
        return "is a reserved word of SQL"
    if folded in POSTGRES_COLUMNS:
        return "is a system column of PostgreSQL"
    return None
