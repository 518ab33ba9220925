"""What a front end has seen of an interaction: stale views, waiting for news, who looked, and words that stand nowhere."""

import asyncio
from pathlib import Path

import pytest

from domain.onboarding.commands import give
from domain.onboarding.engine import Engine
from schemas.onboarding import Recover
from tests.e2e.operations.commands import casestream
from tests.integration.api.conftest import Served
from tests.integration.api.interaction_scenes import PROFILE, instance_of, look, start, submit
from tests.integration.api.onboarding_scenes import ENGINE
from tests.integration.api.test_onboarding import working
from tests.waiting import until

CANARY = "CANARY271828"


async def _at_profile(served: Served) -> tuple[str, str]:
    """An interaction whose code was verified, and its tag."""
    interaction = (await start(served)).json()["interactionId"]
    async with working(served):
        done = await submit(served, interaction, "otp", {"data": {"otp": "1234"}})
    assert done.json()["stepName"] == "profile", done.text
    return interaction, done.headers["etag"]


@pytest.mark.requirement("IN-8", "trap-77")
async def test_who_saw_less_is_refused_and_told_which_fields_changed(served: Served) -> None:
    interaction, seen = await _at_profile(served)
    assert (await submit(served, interaction, "profile", {"data": PROFILE}, if_match=seen)).status_code == 200
    # The same step again, as in another tab: by name alone the stale one would overwrite what the first one said.
    assert (await submit(served, interaction, "documents", {"action": "BACK"})).json()["stepName"] == "profile"
    stale = await submit(served, interaction, "profile", {"data": {**PROFILE, "fullName": "Old"}}, if_match=seen)
    assert (stale.status_code, stale.json()["error"]) == (412, "ConflictState")
    assert stale.json()["changed"] == ["/stepName", "/case/fullName", "/case/idNumber"]
    assert "Ann" not in stale.text
    assert (await submit(served, interaction, "profile", {"data": PROFILE}, if_match='"7"')).status_code == 412
    now = (await look(served, interaction)).headers["etag"]
    assert (await submit(served, interaction, "profile", {"data": PROFILE}, if_match=now)).status_code == 200


@pytest.mark.requirement("IN-8", "trap-77")
async def test_of_two_who_saw_the_same_one_is_first_and_the_other_is_refused(served: Served) -> None:
    interaction, seen = await _at_profile(served)
    bodies = [{"data": {**PROFILE, "fullName": name}} for name in ("A", "B", "C")]
    answers = await asyncio.gather(*(submit(served, interaction, "profile", body, if_match=seen) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


@pytest.mark.requirement("IN-6")
async def test_what_happens_behind_the_scenes_makes_no_view_stale(served: Served) -> None:
    interaction = (await start(served)).json()["interactionId"]
    seen = (await look(served, interaction)).headers["etag"]
    door, instance = served.app.state.door, await instance_of(served, interaction)
    await served.rows("delete from timers")
    async with door.pool.acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenant', 'north', true)")
        recover = Recover(instance_id=instance, cause="timer-missing")
        await give(conn, Engine(door.outbox, door.keys, door.flows, door.case_classes), ENGINE, recover)
    assert (await look(served, interaction, if_none_match=seen)).status_code == 304
    assert (await submit(served, interaction, "otp", {"data": {"otp": "1234"}}, if_match=seen)).status_code == 202


@pytest.mark.requirement("IN-6")
async def test_a_look_waits_for_news_and_holds_no_connection_meanwhile(served: Served) -> None:
    interaction = (await start(served)).json()["interactionId"]
    seen = (await look(served, interaction)).headers["etag"]
    assert (await look(served, interaction, 0.3, if_none_match=seen)).status_code == 304
    # More than the pool has connections.
    waiting = [asyncio.create_task(look(served, interaction, 30, if_none_match=seen)) for _ in range(40)]
    assert (await look(served, interaction)).status_code == 200
    assert (await submit(served, interaction, "otp", {"data": {"otp": "1234"}})).status_code == 202
    for answer in await asyncio.gather(*waiting):
        assert (answer.status_code, answer.json()["status"]) == (200, "RUNNING")
    assert (await look(served, interaction, if_none_match=f"W/{seen}")).status_code == 200
    assert (await look(served, interaction, 31)).status_code == 422


async def test_whoever_waits_is_answered_when_the_process_ends(served: Served) -> None:
    interaction = (await start(served)).json()["interactionId"]
    seen = (await look(served, interaction)).headers["etag"]
    waiting = asyncio.create_task(look(served, interaction, 30, if_none_match=seen))
    await until(lambda: served.app.state.door.waiters.count == 1, what="the look to wait")
    served.app.state.door.waiters.close()
    assert (await waiting).status_code == 304


@pytest.mark.requirement("IN-12")
async def test_operators_see_who_viewed_and_changed_which_data_of_a_person(served: Served) -> None:
    interaction, _ = await _at_profile(served)
    await submit(served, interaction, "profile", {"data": PROFILE})
    tag = (await look(served, interaction)).headers["etag"]
    assert (await look(served, interaction, if_none_match=tag)).status_code == 304
    await start(served, user="binh")
    assert (await served.store()).status_code == 201
    await served.client.get("/api/v1/cases/c-1?reason=audit", headers=served.headers(("case-reader",), user="rita"))
    headers = served.headers(("operator",), user="oper")
    page = (await served.client.get("/api/v1/data-accesses", params={"subjectId": "an"}, headers=headers)).json()["items"]
    assert [(one["action"], one["actor"], one["fields"]) for one in page] == [
        ("interaction.read", "an", ["fullName", "idNumber"]),
        ("interaction.submit", "an", ["fullName", "idNumber"]),
        ("interaction.submit", "an", ["otp"]),
        ("interaction.start", "an", []),
    ]
    first = await served.client.get("/api/v1/data-accesses?limit=2", headers=headers)
    assert [one["subjectId"] for one in first.json()["items"]] == ["s-1", "binh"]
    rest = await served.client.get(
        "/api/v1/data-accesses", params={"limit": "2", "cursor": first.json()["nextCursor"]}, headers=headers
    )
    assert [one["action"] for one in rest.json()["items"]] == ["interaction.read", "interaction.submit"]
    assert (await served.client.get("/api/v1/data-accesses", headers=served.headers(("agent",)))).status_code == 403


@pytest.mark.requirement("IN-11", "trap-79")
async def test_planted_words_are_shown_to_nobody_and_readable_in_no_column_and_no_log(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    begun = await start(served, {"data": {"email": f"{CANARY}@example.com"}}, idempotency_key="s")
    interaction = begun.json()["interactionId"]
    async with working(served):
        await submit(served, interaction, "otp", {"data": {"otp": "27182818"}}, idempotency_key="k")
        said = {"fullName": f"{CANARY} Ann", "idNumber": CANARY, "address": {"street": f"{CANARY} 1", "city": CANARY}}
        await submit(served, interaction, "profile", {"data": said})
        refused = await submit(served, interaction, "documents", {"data": {"document": 7, CANARY.lower(): CANARY}})
        await submit(served, interaction, "documents", {"data": {"document": f"{CANARY}-d"}})
    assert CANARY not in refused.text
    case = (await look(served, interaction)).json()["case"]
    assert case == {
        "email": "****", "fullName": "****", "idNumber": "****", "document": f"{CANARY}-d",
        "address": {"street": "****28 1", "city": CANARY},
    }  # fmt: skip
    assert "public.interactions" in await readable(served, interaction), "a search that finds what is there"
    assert await readable(served, CANARY) == []
    assert await readable(served, "27182818") == []
    printed = capfd.readouterr()
    assert CANARY not in printed.out + printed.err
    assert "27182818" not in printed.out + printed.err


@pytest.mark.requirement("IN-7", "IN-11")
async def test_of_an_erased_person_no_kept_answer_is_shown_again(served: Served) -> None:
    begun = await start(served, {"data": {"phone": "+84912345678"}}, idempotency_key="s")
    (row,) = await served.rows("select convert_from(answer, 'UTF8') as answer from idempotency_keys")
    assert "5678" not in row["answer"]
    await served.rows(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        " values ('north', 'an', gen_random_uuid(), now(), 'op', 'r')"
    )
    again = await start(served, {"data": {"phone": "+84912345678"}}, idempotency_key="s")
    assert (again.status_code, again.json()["error"]) == (410, "SubjectErased")
    assert (await look(served, begun.json()["interactionId"])).status_code == 410
    assert (await start(served)).status_code == 410


@pytest.mark.requirement("IN-12", "IN-1")
async def test_operators_list_accesses_and_give_case_definitions_on_the_command_line(served: Served, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": served.database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    await start(served, {"data": {"product": CANARY}})
    (row,) = await casestream(environ, "audit", "accesses", "--tenant", "north", "--subject", "an")
    assert (row["actor"], row["action"], row["fields"]) == ("an", "interaction.start", ["product"])
    assert await casestream(environ, "audit", "accesses", "--tenant", "south") == []

    path = tmp_path / "small.v1.yaml"
    path.write_text("name: small\nversion: 1\nschema: {type: object}\n")
    told = [await casestream(environ, "flow", "import-case", str(path), "--tenant", "north") for _ in range(2)]
    assert [one["outcome"] for one in told] == ["imported", "unchanged"]
    path.write_text("name: small\nversion: 1\nschema: {type: array}\n")
    await casestream(environ, "flow", "import-case", str(path), "--tenant", "north", expect=1)


async def readable(served: Served, words: str) -> list[str]:
    """Every table with a row in which these words can be read: events, outbox, history, index columns, parked records."""
    tables = await served.rows(
        "select format('%I.%I', table_schema, table_name) as name from information_schema.tables"
        " where table_schema in ('public', 'projections') and table_type = 'BASE TABLE' order by 1"
    )
    # A row's text shows bytes as hexadecimal digits.
    seen = (
        f"select '{row['name']}' as name where exists (select from {row['name']} t where position($1 in t::text) > 0"
        f" or position(encode(convert_to($1, 'UTF8'), 'hex') in t::text) > 0)"
        for row in tables
    )
    return [row["name"] for row in await served.rows(" union all ".join(seen), words)]
