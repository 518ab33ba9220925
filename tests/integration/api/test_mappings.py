"""Mappings over HTTP: every verb, two editors, hostile callers, and problems that point into the body."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from projections.ddl import create_statements
from tests.integration.api.conftest import Served, settings_for
from tests.integration.api.serving import asgi_client
from tests.integration.mappings.words import AUDIT, ORDER, RUSH, TOTAL, column, files, order

PATH = "/api/v1/mappings"


class Editing:
    """The door on the classes of these tests, and an editor's requests."""

    def __init__(self, served: Served, client: httpx.AsyncClient, app: FastAPI) -> None:
        self.served, self.client, self.app = served, client, app

    def headers(self, role: str = "mapping-editor", **more: str) -> dict[str, str]:
        return self.served.headers((role,), **more)

    async def get(self, path: str = "", role: str = "mapping-reader", **query: str) -> httpx.Response:
        return await self.client.get(f"{PATH}{path}", headers=self.headers(role), params=query)

    async def put(self, body: dict[str, Any], if_match: str | None = "*", name: str = "", **who: str) -> httpx.Response:
        headers = self.headers(**who) | ({"if-match": if_match} if if_match else {})
        sent = {"definition": body, "reason": "a test"}
        return await self.client.put(f"{PATH}/{name or body['className']}/draft", json=sent, headers=headers)

    async def post(self, name: str, verb: str, if_match: str | None = "*", **body: Any) -> httpx.Response:
        headers = self.headers() | ({"if-match": if_match} if if_match else {})
        return await self.client.post(f"{PATH}/{name}/{verb}", json={"reason": "a test", **body}, headers=headers)


@pytest.fixture
async def editing(served: Served) -> AsyncIterator[Editing]:
    verifier = served.world.verifier()
    app = create_app(served.settings, served.pool, verifier, classes=files(), statements_of=create_statements)
    async with asgi_client(app) as client:
        yield Editing(served, client, app)
    await app.state.door.enclosure.close()


def pointers(answer: httpx.Response) -> set[tuple[str, str]]:
    assert (answer.status_code, answer.json()["error"]) == (422, "MappingRefused"), answer.text
    return {(each["pointer"], each["code"]) for each in answer.json()["errors"]}


@pytest.mark.requirement("CD-10", "CD-14")
async def test_a_class_is_drafted_published_resolved_and_disabled(editing: Editing) -> None:
    first = await editing.get(f"/{ORDER}")
    assert (first.status_code, first.headers["etag"], first.json()["sourceKind"]) == (200, '"1"', "file")
    assert first.json()["definition"]["mappings"][0]["plainColumn"] == "total"

    saved = await editing.put(order(TOTAL, column("region", "$.params['region']")), if_match=first.headers["etag"])
    assert (saved.status_code, saved.json()["version"], saved.headers["etag"]) == (200, 1, '"2"'), saved.text
    assert (await editing.get(f"/{ORDER}")).json()["draft"]["mappings"][1]["plainColumn"] == "region"

    changes = (await editing.get(f"/{ORDER}/diff")).json()["differences"]
    said = {(change["column"], change["word"]) for change in changes}
    assert said == {("customer", None), ("region", None), (None, "mixins")}

    published = await editing.post(ORDER, "publish", if_match=saved.headers["etag"])
    assert published.status_code == 200, published.text
    assert {"name": "case_plain_order", "change": "changed"} in published.json()["tables"]

    resolved = (await editing.get(f"/{ORDER}/resolve")).json()
    sources = {each["column"]: each["provenance"] for each in resolved["columns"]}
    assert sources["region"] == {
        "sourceClass": ORDER, "sourceKind": "db", "sourceModule": "shop", "sourceLocation": f"{ORDER}@1#/mappings/1",
    }  # fmt: skip
    assert sources["business_key"]["sourceKind"] == "file"
    assert resolved["ancestry"] == [ORDER, "WorkObject", "FlowableObject"]

    disabled = await editing.post(ORDER, "disable", if_match=published.headers["etag"])
    assert (disabled.status_code, disabled.json()["state"]) == (200, "disabled")
    assert (await editing.get(f"/{ORDER}")).json()["sourceKind"] == "file"
    versions = (await editing.get(f"/{ORDER}/versions")).json()["items"]
    assert [(each["version"], each["state"], each["publishedBy"]) for each in versions] == [(1, "disabled", "an")]


async def test_the_list_names_every_class_in_pages(editing: Editing) -> None:
    await editing.put(order(TOTAL))
    await editing.put({"className": "com.shop.New", "parent": "WorkObject", "mappings": []}, if_match=None)
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await editing.get(limit="2", **cursor)).json()
        seen += page["items"]
        if not page["nextCursor"]:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert [each["className"] for each in seen] == sorted([*files(), "com.shop.New"])
    drafts = {each["className"]: (each["sourceKind"], each["draftVersion"]) for each in seen if each["draftVersion"]}
    assert drafts == {ORDER: ("file", 1), "com.shop.New": (None, 1)}


async def test_a_change_names_the_revision_that_was_seen(editing: Editing) -> None:
    missing = await editing.put(order(TOTAL), if_match=None)
    assert (missing.status_code, missing.json()["error"]) == (428, "IfMatchRequired")
    assert (await editing.put(order(TOTAL), if_match='"1"')).status_code == 200
    stale = await editing.put(order(TOTAL), if_match='"1"')
    assert (stale.status_code, stale.json()["error"], stale.json()["currentVersion"]) == (412, "ConflictState", 2)
    for verb in ("publish", "disable"):
        assert (await editing.post(ORDER, verb, if_match='"1"')).status_code == 412
        assert (await editing.post(ORDER, verb, if_match=None)).status_code == 428
    assert (await editing.put(order(TOTAL), if_match="nonsense")).status_code == 400


async def test_a_new_class_needs_no_if_match_and_comes_once(editing: Editing) -> None:
    body = {"className": "com.shop.New", "parent": "WorkObject", "mappings": [column("why")]}
    answers = await asyncio.gather(*(editing.put(body, if_match=None) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 428, 428, 428]


async def test_of_two_editors_at_once_one_gets_412(editing: Editing) -> None:
    bodies = [order(TOTAL, column(name)) for name in ("north", "south")]
    answers = await asyncio.gather(*(editing.put(body, if_match='"1"') for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_a_draft_is_published_once(editing: Editing) -> None:
    saved = await editing.put(order(TOTAL))
    answers = await asyncio.gather(*(editing.post(ORDER, "publish", if_match=saved.headers["etag"]) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    again = await editing.post(ORDER, "publish")
    assert (again.status_code, again.json()["error"]) == (409, "NoDraft")


@pytest.mark.requirement("CD-8", "CD-9", "CD-11", "trap-87")
async def test_every_problem_is_told_at_once_with_its_place(editing: Editing) -> None:
    body = order(
        column("total", type="text"),
        column("x; drop table cases"),
        column("c" * 64),
        column("y", "$..sku"),
        column("z", type="money"),
        {"plainColumn": "w", "jsonPath": "$.w", "surprise": 1},
        parent="com.shop.Absent",
        mixins=[AUDIT, "com.shop.Lost"],
    )
    found = pointers(await editing.put(body))
    assert {
        ("/definition/mappings/1/plainColumn", "column-name"),
        ("/definition/mappings/2/plainColumn", "column-name"),
        ("/definition/mappings/3/jsonPath", "path"),
        ("/definition/mappings/4/type", "form"),
        ("/definition/mappings/5", "form"),
        ("/definition/parent", "unknown-parent"),
        ("/definition/mixins", "unknown-mixin"),
    } <= found
    assert (await editing.get(f"/{ORDER}")).json()["draft"] is None
    assert await editing.served.rows("select from mapping_definitions") == []


@pytest.mark.requirement("CD-12")
async def test_a_table_has_as_many_columns_as_the_setting_allows(editing: Editing) -> None:
    """Judged at every change: a draft that fits is not published by a door that allows fewer."""
    wide = order(*(column(f"c{at}", "$.x") for at in range(9)))
    door = editing.app.state.door

    def allow(most: int) -> None:
        editing.app.state.door = replace(
            door, settings=settings_for(editing.served.database, CASESTREAM_MAPPINGS__MAX_COLUMNS=str(most))
        )

    allow(8)
    assert ("/definition/mappings", "too-many-columns") in pointers(await editing.put(wide))
    allow(20)
    assert (await editing.put(wide)).status_code == 200
    allow(8)
    assert "too-many-columns" in {code for _, code in pointers(await editing.post(ORDER, "publish"))}
    allow(20)
    assert (await editing.post(ORDER, "publish")).status_code == 200


async def test_a_column_name_never_becomes_sql(editing: Editing) -> None:
    for name in ('a" text); drop table cases; --', "a'b", "a\\b", "a\nb", "ünïcode", "", " ", "a b", "1a", "tableoid"):
        answer = await editing.put(order(column(name, "$.x")))
        assert answer.status_code == 422, name


async def test_what_is_no_definition_is_refused(editing: Editing) -> None:
    for definition in ({}, {"className": 1}, {"className": RUSH, "parent": ORDER}, {"className": ORDER, "mappings": {}}):
        words = {"definition": definition, "reason": "x"}
        answer = await editing.client.put(f"{PATH}/{ORDER}/draft", json=words, headers=editing.headers() | {"if-match": "*"})
        assert (answer.status_code, answer.json()["error"]) == (422, "MappingRefused"), definition
    unfit: list[Any] = [
        {},
        {"definition": [], "reason": "x"},
        {"definition": {}, "reason": ""},
        {"definition": {}},
        {"tenantId": "x"},
    ]
    for sent in unfit:
        answer = await editing.client.put(f"{PATH}/{ORDER}/draft", json=sent, headers=editing.headers() | {"if-match": "*"})
        assert (answer.status_code, answer.json()["error"]) == (422, "ValidationFailed"), sent
    nul = await editing.put(order(TOTAL, column("x", "$.a", default="\x00", onMissing="default")))
    assert nul.status_code == 422


async def test_a_reader_reads_and_nobody_else_does_anything(editing: Editing) -> None:
    await editing.put(order(TOTAL))
    for path in ("", f"/{ORDER}", f"/{ORDER}/versions", f"/{ORDER}/diff", f"/{ORDER}/resolve", f"/{ORDER}/ddl"):
        assert (await editing.get(path)).status_code == 200, path
        for role in ("admin", "agent", "operator", "case-reader", "MAPPING-EDITOR"):
            assert (await editing.get(path, role=role)).status_code == 403, (path, role)
    for role in ("mapping-reader", "admin"):
        assert (await editing.put(order(TOTAL), role=role)).status_code == 403
    assert [row["author"] for row in await editing.served.rows("select author from mapping_definitions")] == ["an"]


async def test_mappings_are_the_installations_and_the_audit_log_is_the_editors_tenants(editing: Editing) -> None:
    assert (await editing.put(order(TOTAL), tenant="south", user="mallory")).status_code == 200
    assert (await editing.get(f"/{ORDER}")).json()["draftVersion"] == 1
    rows = await editing.served.rows("select tenant_id, actor, action from audit_log")
    assert [tuple(row) for row in rows] == [("south", "mallory", "mapping.draft-saved")]


async def test_unknown_classes_versions_and_drafts_are_not_found(editing: Editing) -> None:
    for path in ("/com.shop.Absent", "/com.shop.Absent/versions", f"/{ORDER}/diff", "/com.shop.Absent/ddl", "/absent/resolve"):
        answer = await editing.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "MappingNotFound"), path
    for query in ({"from": "9"}, {"to": "7"}):
        assert (await editing.get(f"/{ORDER}/diff", **{"from": "file", "to": "file", **query})).status_code == 404
    for query in ({"from": "0"}, {"to": "x"}, {"from": "99999999999"}):
        assert (await editing.get(f"/{ORDER}/diff", **query)).status_code == 422
    assert (await editing.get("/a;drop")).status_code == 422
    assert (await editing.post("com.shop.Absent", "publish")).status_code == 404


@pytest.mark.requirement("CD-12")
async def test_the_ddl_of_a_draft_is_shown_and_not_run(editing: Editing) -> None:
    await editing.put(order(TOTAL, column("region", type="text")))
    tables = {each["name"]: each for each in (await editing.get(f"/{ORDER}/ddl", draft="true")).json()["tables"]}
    assert set(tables) == {"case_plain_order", "case_plain_rush_order", "case_work"}
    assert (tables["case_plain_order"]["state"], tables["case_plain_order"]["version"]) == ("new", 1)
    sql = "\n".join(tables["case_plain_order"]["statements"])
    assert '"region" text' in sql
    assert f"{ORDER}@1#/mappings/1" in sql
    in_force = {each["name"]: each for each in (await editing.get(f"/{ORDER}/ddl")).json()["tables"]}
    assert '"region"' not in "\n".join(in_force["case_plain_order"]["statements"])
    assert await editing.served.rows("select from pg_tables where tablename like 'case_plain%'") == []
