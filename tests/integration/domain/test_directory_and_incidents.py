"""The directory and the incidents: their functions on a real database, and their command lines end to end."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.audit import append
from domain.directory import people
from domain.directory.entries import TeamEntry, TenantEntry, UserEntry, read_entries
from domain.directory.lookups import look_up
from domain.incidents import Incident, open_incident, open_incidents
from domain.incidents.resolve import list_incidents, resolve_incidents, retry_incident, show_incident
from runtime.cli import main
from schemas.errors import NotFound, Rejected
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import World


class TestIncidents:
    @pytest.mark.requirement("SP-9")
    async def test_a_second_sighting_counts_and_does_not_multiply(self, world: World) -> None:
        async with world.worker() as conn:
            first = await _open(conn, summary="first")
            second = await _open(conn, summary="second")
            other = await _open(conn, fingerprint="other")
        assert first == second != other
        async with world.worker() as conn:
            row = await show_incident(conn, first)
        assert (row["seen_count"], row["summary"], row["state"], row["detail"]) == (2, "second", "open", {"n": 1})

    async def test_a_batch_with_one_trouble_twice_counts_twice(self, world: World) -> None:
        async with world.worker() as conn:
            await open_incidents(
                conn, [Incident("north", "k", "f", "x"), Incident("", "k", "f", "y"), Incident("north", "k", "f", "z")]
            )
            rows = (await list_incidents(conn)).rows
        assert sorted((row["tenant_id"], row["seen_count"], row["summary"]) for row in rows) == [
            ("", 1, "y"),
            ("north", 2, "z"),
        ]

    async def test_after_a_resolution_the_next_sighting_opens_another(self, world: World) -> None:
        async with world.worker() as conn:
            first = await _open(conn)
            assert await resolve_incidents(conn, [first], resolved_by="an", resolution="mended") == [first]
            assert await resolve_incidents(conn, [first], resolved_by="bo", resolution="again") == []
            assert await _open(conn) != first
        (deed,) = await world.look("select actor, action, object_id, reason from audit_log")
        assert deed == {"actor": "an", "action": "incident.resolve", "object_id": str(first), "reason": "mended"}

    async def test_lists_page_without_repeating_or_losing_one(self, world: World) -> None:
        async with world.worker() as conn:
            made = {await _open(conn, fingerprint=str(n)) for n in range(7)}
            found: list[UUID] = []
            after = None
            while True:
                page = await list_incidents(conn, after=after, page_size=3)
                found += [row["incident_id"] for row in page.rows]
                after = page.next
                if after is None:
                    break
        assert len(found) == 7
        assert set(found) == made

    async def test_a_retry_goes_to_the_kinds_handler_and_leaves_its_word(self, world: World) -> None:
        async def order(conn: Any, incident: Any, actor: str) -> str:
            return f"{actor} ordered {incident['object_id']}"

        async with world.worker() as conn:
            incident = await _open(conn)
            assert await retry_incident(conn, incident, actor="an", handlers={"stuck": order}) == "an ordered o-1"
            refusal = await retry_incident(conn, incident, actor="an", handlers={})
            assert isinstance(refusal, Rejected)
            with pytest.raises(NotFound):
                await retry_incident(conn, UUID(int=1), actor="an", handlers={})

    @pytest.mark.requirement("SP-8")
    async def test_no_tenant_sees_anothers_incident(self, world: World) -> None:
        async with world.worker() as conn:
            incident = await _open(conn)
        async with world.api("south") as conn:
            assert (await list_incidents(conn)).rows == []
            with pytest.raises(NotFound):
                await show_incident(conn, incident)
            assert await resolve_incidents(conn, [incident], resolved_by="x", resolution="x") == []

    async def test_the_audit_log_is_append_only_for_everybody(self, world: World) -> None:
        async with world.worker() as conn:
            await append(conn, tenant_id="north", actor="an", action="look", object_type="x", object_id="1")
        for statement in ("update audit_log set actor = 'x'", "delete from audit_log", "truncate audit_log"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await world.look(statement)


class TestDirectory:
    async def test_put_keeps_standing_and_the_look_up_sees_it(self, world: World) -> None:
        async with world.worker("north") as conn:
            await people.put_users(conn, [_user("bo"), _user("new"), _user("off", active=False)], actor="an")
            assert await people.set_active(conn, "user", "north", ["bo", "nobody"], False, actor="an") == ["bo"]
            await people.put_users(conn, [_user("bo", display_name="Bo II", roles=("agent",))], actor="an")
            found, now = await look_up(
                conn, [("north", "bo"), ("north", "new"), ("north", "off"), ("north", "x"), ("south", "an")]
            )
        assert [found.is_active("north", name) for name in ("bo", "new", "off", "x")] == [False, True, False, None]
        # The south is not among the batch's tenants, so it is unknown.
        assert found.active_tenants == {"north"}
        assert found.is_active("south", "an") is None
        assert now is not None

    async def test_teams_and_members(self, world: World) -> None:
        async with world.worker("north") as conn:
            await people.put_teams(conn, [_team("cards", "an", "bo"), _team("cards", "cy")], actor="an")
            (team,) = await people.list_teams(conn, "north")
            assert team["member_ids"] == ["an", "bo", "cy"]
            assert await people.remove_members(conn, "north", "cards", ["bo", "x"], actor="an") == 1
            members = await people.list_users(conn, "north", team_id="cards")
            assert [row["user_id"] for row in members] == ["an", "cy"]

    def test_a_file_names_every_wrong_line_and_never_a_value(self, tmp_path: Path) -> None:
        file = tmp_path / "users.csv"
        file.write_text(
            "tenant_id,user_id,display_name,roles,active\n"
            "north,bo,Bo,agent;supervisor,\n"
            "no rth,bo,Bo,,true\n"
            "north,,Secret Name,king,\n"
            "north,cy,Cy,agent,perhaps,extra\n"
        )
        entries, problems = read_entries(file, UserEntry)
        assert [(entry.user_id, entry.roles, entry.active) for entry in entries] == [("bo", ("agent", "supervisor"), None)]
        assert [problem.partition(":")[0] for problem in problems] == ["line 3", "line 4", "line 4", "line 5", "line 5"]
        assert not any(secret in problem for problem in problems for secret in ("Secret", "king", "perhaps"))

    def test_json_lines_and_a_broken_one(self, tmp_path: Path) -> None:
        file = tmp_path / "tenants.jsonl"
        file.write_text('{"tenant_id": "a", "name": "A", "zone": "Mars/Base", "holidays": ["2026-01-01"]}\n{broken\n\n')
        entries, problems = read_entries(file, TenantEntry)
        assert entries == []
        assert [problem.partition(":")[0] for problem in problems] == ["line 1", "line 2"]


@pytest.fixture
def casestream(
    database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Any, str]]:
    """Runs one command line against this test's database: exit code, parsed answer, remarks."""
    monkeypatch.setenv("DATABASE_URL", database.url("migrate"))
    # Named by the settings and not asked by these commands.
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")

    def run(*words: str) -> tuple[int, Any, str]:
        code = 0
        try:
            main(["--output", "json", *words])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out.strip() else None, said.err

    return run


def test_the_directory_from_the_command_line(casestream: Callable[..., tuple[int, Any, str]], tmp_path: Path) -> None:
    tenants = _written(
        tmp_path / "t.jsonl", [{"tenant_id": "a", "name": "A"}, {"tenant_id": "b", "name": "B", "zone": "Asia/Ho_Chi_Minh"}]
    )
    users = _written(tmp_path / "u.jsonl", [{"tenant_id": name, "user_id": "an", "display_name": "An"} for name in "ab"])
    teams = _written(tmp_path / "g.jsonl", [{"tenant_id": "a", "team_id": "g", "name": "G", "member_ids": ["an"]}])
    assert casestream("user", "import", users)[0] == 1
    for family, file, count in (("tenant", tenants, 2), ("user", users, 2), ("team", teams, 1), ("user", users, 2)):
        code, answer, _ = casestream(family, "import", file)
        assert (code, answer["imported"]) == (0, count)
    assert [row["tenant_id"] for row in casestream("tenant", "list")[1]] == ["a", "b"]
    assert casestream("user", "add", "bo", "--tenant", "a", "--name", "Bo", "--role", "agent")[0] == 0
    assert casestream("user", "add", "bo", "--tenant", "a", "--role", "king")[0] == 1
    assert casestream("user", "deactivate", "bo", "--tenant", "a")[0] == 0
    assert casestream("user", "deactivate", "bo", "--tenant", "b")[0] == 1
    assert [row["user_id"] for row in casestream("user", "list", "--tenant", "a", "--active")[1]] == ["an"]
    assert casestream("team", "list", "--tenant", "a")[1][0]["member_ids"] == ["an"]
    assert casestream("tenant", "deactivate", "b")[1][0]["active"] is False
    assert casestream("team", "add", "h", "--tenant", "a", "--member", "nobody")[0] == 1


def test_incidents_from_the_command_line(casestream: Callable[..., tuple[int, Any, str]], database: ClonedDatabase) -> None:
    incident = asyncio.run(_opened(database))
    code, rows, _ = casestream("incident", "list")
    assert (code, [row["incident_id"] for row in rows]) == (0, [str(incident)])
    assert casestream("incident", "show", str(incident))[1]["cure"] == "mend it"
    assert casestream("incident", "retry", str(incident))[0] == 1
    assert casestream("incident", "resolve", str(incident), "--reason", "mended")[0] == 0
    assert casestream("incident", "resolve", str(incident), "--reason", "again")[0] == 1
    assert casestream("incident", "list")[1] == []
    assert casestream("incident", "list", "--resolved")[1][0]["state"] == "resolved"
    code, _, remarks = casestream("incident", "show", str(UUID(int=1)))
    assert code == 1
    assert "there is none" in remarks


async def _opened(database: ClonedDatabase) -> UUID:
    conn = await asyncpg.connect(database.url("scan"))
    try:
        return await _open(conn)
    finally:
        await conn.close()


async def _open(conn: Any, **changed: Any) -> UUID:
    return await open_incident(
        conn,
        **{
            "tenant_id": "north",
            "kind": "stuck",
            "fingerprint": "f",
            "object_type": "o",
            "object_id": "o-1",
            "summary": "it is stuck",
            "cure": "mend it",
            "detail": {"n": 1},
        }
        | changed,
    )


def _user(user_id: str, **changed: Any) -> UserEntry:
    return UserEntry.model_validate({"tenant_id": "north", "user_id": user_id, "display_name": user_id, **changed})


def _team(team_id: str, *member_ids: str) -> TeamEntry:
    return TeamEntry(tenant_id="north", team_id=team_id, name=team_id, member_ids=member_ids)


def _written(file: Path, rows: Sequence[object]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)
