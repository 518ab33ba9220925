"""The SQL of parity, made from two shapes: pairs of rows that are not simply equal, child rows too, and sums. Pure.

Every statement reads both tables in the snapshot of the transaction that runs it. Names are quoted by the one function of
`projections.ddl`; classes and keys are parameters. Tenants: row level security shows those of the transaction.
"""

from collections.abc import Iterable

from projections.ddl import literal, quote
from projections.rebuild.shapes import Common, TableShape

# As many as a topic has: what one partition's consumer did wrong shows in one line.
PARTS = 32


def pairs_statement(old: TableShape, new: TableShape, common: Common) -> str:
    """Keys whose rows are not equal, with both versions, tombstones and the differing columns. $1 tenant or null, $2 how many.

    A row in one table only has null on the other side. Rows of classes that only one version has are left out.
    """
    tenant, key = (quote(name) for name in new.keys)
    number = quote(new.version_column)
    differs = {name: _differs(name, classes, common) for name, classes in common.columns.items()}
    same = f"a.{number} = b.{number}"
    # coalesce: a condition on a row's class is unknown where a tombstone has no class, and unknown is no difference.
    columns = ", ".join(f"case when {same} and {text} then {literal(name)} end" for name, text in differs.items())
    unequal = " or ".join([f"a.{number} is distinct from b.{number}", *_tombstones(new), *differs.values()])
    return f"""
select coalesce(b.{tenant}, a.{tenant}) as tenant_id, coalesce(b.{key}, a.{key})::text as key,
       a.{number} as old_version, b.{number} as new_version, {_tombstone(new, "a")} as old_tombstone,
       {_tombstone(new, "b")} as new_tombstone, {_class(common)} as class_name,
       array_remove(array[{columns or "null"}]::text[], null) as columns
from {_side(old)} a full join {_side(new)} b on a.{tenant} = b.{tenant} and a.{key} = b.{key}
where ({unequal}){_of_common_classes(common)}
order by 1, 2
limit $2"""


def children_statement(child: str, old: TableShape, new: TableShape, common: Common) -> str:
    """Keys whose child rows differ although their parents have the same version; orphans too. Parameters as above."""
    tenant, key = (quote(name) for name in new.keys)
    number = quote(new.version_column)
    differs = [_differs(name, classes, common, "pa") for name, classes in common.children[child].items()]
    unequal = " or ".join(["a.position is null", "b.position is null", *differs])
    return f"""
select coalesce(b.{tenant}, a.{tenant}) as tenant_id, coalesce(b.{key}, a.{key})::text as key,
       coalesce(pb.{number}, pa.{number}) as version, count(*) as differing,
       bool_or(pa.{key} is null and pb.{key} is null) as orphaned
from {_side(old, child)} a
full join {_side(new, child)} b on a.{tenant} = b.{tenant} and a.{key} = b.{key} and a.position = b.position
left join {_side(old)} pa on pa.{tenant} = coalesce(a.{tenant}, b.{tenant}) and pa.{key} = coalesce(a.{key}, b.{key})
left join {_side(new)} pb on pb.{tenant} = coalesce(a.{tenant}, b.{tenant}) and pb.{key} = coalesce(a.{key}, b.{key})
where ({unequal}) and (pa.{number} = pb.{number} or (pa.{key} is null and pb.{key} is null))
group by 1, 2, 3
order by 1, 2
limit $2"""


def sums_statement(shape: TableShape, common: Common) -> str:
    """Per part: rows, and a sum over the rows' hashes that no order changes. $1 tenant, $2 and $3 keys to leave out."""
    tenant, key = (quote(name) for name in shape.keys)
    seen = ", ".join(
        [f"a.{tenant}", f"a.{key}", f"a.{quote(shape.version_column)}", _tombstone(shape, "a")]
        + [_when(classes, common, "a", f"a.{quote(name)}") for name, classes in common.columns.items()]
    )
    parts = [_summed(_side(shape), f"row({seen})::text", tenant, key, _of_common_classes(common, "a"))]
    for child, columns in common.children.items():
        unconditional = [quote(name) for name, classes in columns.items() if classes is None]
        seen = ", ".join(f"a.{name}" for name in [tenant, key, "position", *unconditional])
        # A child row's class is its parent's; where classes differ between the versions the pairs are compared, not summed.
        if common.all_rows:
            parts.append(_summed(_side(shape, child), f"row({seen})::text", tenant, key, ""))
    return f"""
select part, sum(rows)::bigint as rows, (sum(hash) % 18446744073709551616)::text as hash
from ({" union all ".join(parts)}) s
group by part
order by part"""


def sample_statement(shape: TableShape, columns: Iterable[str]) -> str:
    """The values of some columns in the rows with these keys ($1 tenants, $2 keys), as text, for the person at the terminal."""
    tenant, key = (quote(name) for name in shape.keys)
    values = "".join(f", a.{quote(name)}::text as {quote(name)}" for name in columns)
    # From the keys to the rows: a table that was never analyzed is read whole otherwise.
    return f"""
select a.{tenant} as tenant_id, a.{key}::text as key{values}
from unnest($1::text[], $2::text[]) as k (tenant_id, key)
cross join lateral (select * from projections.{quote(shape.table)} t
                    where t.{tenant} = k.tenant_id and t.{key}::text = k.key offset 0) a"""


def _summed(side: str, row: str, tenant: str, key: str, only: str) -> str:
    return f"""
select (hashtextextended(a.{tenant} || '|' || a.{key}::text, 0) & {PARTS - 1})::integer as part,
       count(*) as rows, sum(hashtextextended({row}, 0)::numeric) as hash
from {side} a
where not exists (select from unnest($2::text[], $3::text[]) as moving (t, k) where moving.t = a.{tenant}
                  and moving.k = a.{key}::text){only}
group by 1"""


def _side(shape: TableShape, child: str | None = None) -> str:
    table = shape.table if child is None else f"{child}__v{shape.version}"
    return f"(select * from projections.{quote(table)} where $1::text is null or tenant_id = $1)"


def _differs(name: str, classes: frozenset[str] | None, common: Common, parent: str = "a") -> str:
    column = quote(name)
    unequal = f"a.{column} is distinct from b.{column}"
    if classes is None:
        return unequal
    return f"({_in_classes(_row_class(common, parent), classes)} and {unequal})"


def _when(classes: frozenset[str] | None, common: Common, side: str, value: str) -> str:
    if classes is None:
        return value
    return f"case when {_in_classes(_row_class(common, side), classes)} then {value} end"


def _row_class(common: Common, side: str) -> str:
    assert common.class_column is not None, "columns are compared per class only where a column tells the class"
    return f"{side}.{quote(common.class_column)}"


def _in_classes(column: str, classes: Iterable[str]) -> str:
    return f"coalesce({column} in ({', '.join(literal(name) for name in sorted(classes))}), false)"


def _of_common_classes(common: Common, side: str | None = None) -> str:
    """Nothing where both versions have the same classes. A tombstone has no class: it is looked up before it is judged."""
    if common.all_rows or common.class_column is None:
        return ""
    column = quote(common.class_column)
    found = f"{side}.{column}" if side else f"coalesce(b.{column}, a.{column})"
    if side:
        return f" and {_in_classes(found, common.classes)}"
    return f" and ({found} is null or {_in_classes(found, common.classes)})"


def _class(common: Common) -> str:
    if common.class_column is None:
        return "null::text"
    column = quote(common.class_column)
    return f"coalesce(b.{column}, a.{column})"


def _tombstone(shape: TableShape, side: str) -> str:
    return f"{side}.{quote(shape.tombstone_column)}" if shape.tombstone_column else "null::text"


def _tombstones(shape: TableShape) -> list[str]:
    column = shape.tombstone_column
    return [f"a.{quote(column)} is distinct from b.{quote(column)}"] if column else []
