"""docs/reference/database-roles.md says what the catalogue says: each table, each role, its verbs and its rows."""

from pathlib import Path

import asyncpg
import pytest

from tests.integration.database.conftest import Connect
from tests.integration.database.test_catalogue import queries

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "database-roles.md"
ROWS = {
    "(tenant_id = app_tenant())": "the transaction's tenant",
    "(tenant_id = ANY (app_tenants()))": "the batch's tenants",
    "((tenant_id = ANY (app_tenants())) OR (tenant_id = ''::text))": "the batch's tenants and none",
    "((tenant_id = app_tenant()) OR ((tenant_id = ''::text) AND (object_type = 'case_class'::text)))": (
        "the transaction's tenant, and the installation's about mappings"
    ),
    "((tenant_id = app_tenant()) OR (tenant_id = ''::text))": "the transaction's tenant and none",
    "(role_name = SESSION_USER)": "the login's own",
    "true": "all",
}
LOGINS = "the login's tenants"


async def table_of_rights(conn: asyncpg.Connection) -> str:
    verbs: dict[tuple[str, str], list[str]] = {}
    for row in await queries.list_grants(conn):
        verbs.setdefault((row["name"], row["role"]), []).append(row["verb"])
    rows = {}
    for policy in await queries.list_policies(conn):
        condition = policy["qual"] or policy["with_check"]
        rows[policy["name"], policy["role"]] = LOGINS if "analyst_tenants" in condition else ROWS[condition]
    lines = [
        f"| `{table}` | `{role}` | {' '.join(sorted(names))} | {rows.get((table, role), 'all (no row security)')} |"
        for (table, role), names in sorted(verbs.items())
    ]
    return "\n".join(("| table | role | may | sees |", "| --- | --- | --- | --- |", *lines))


@pytest.mark.requirement("SP-8")
async def test_the_page_of_roles_is_what_the_catalogue_says(connect: Connect) -> None:
    table = await table_of_rights(await connect("migrate"))
    assert table in PAGE.read_text(), f"put this table into {PAGE.name}:\n{table}"
