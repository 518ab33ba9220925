"""`casestream audit`: whether the audit log is what it was, and who saw data of a person. Changes nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from aiokafka import TopicPartition

from domain.audit.accesses import list_accesses
from domain.audit.chaining import TOPIC, heads_of
from domain.audit.signing import SignedHead, TrustedKeys, read_trusted_keys, trusted_keys
from domain.audit.verify import Verdict, list_chains, verify_chain
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.cli.rule_access import OfTenant, within
from runtime.kafka import consumer, physical
from runtime.postgres import array_literal, open_pool
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.audit import AuditHeadSigned
from schemas.envelope import from_kafka
from schemas.types import parse

app = typer.Typer(no_args_is_help=True, help="The audit log: verify its chain, list accesses to data of persons.")


@app.command()
def verify(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's chain; `-` is that of no tenant.")] = None,
    heads_from_topic: Annotated[
        bool, typer.Option("--heads-from-topic", help="Also hold the chain against the heads published to Kafka.")
    ] = False,
    trusted: Annotated[
        str | None, typer.Option(help="PEM file of the public keys whose signatures count, instead of the settings'.")
    ] = None,
) -> None:
    """Recompute every link and check every signed head. Exit code 1 when anything is not as it was, a line for each."""
    settings = Settings.load()
    keys = read_trusted_keys(Path(trusted)) if trusted else trusted_keys(settings)
    verdicts = asyncio.run(_verify(settings, keys, tenant, heads_from_topic))
    found = [finding for verdict in verdicts for finding in verdict.findings]
    if found:
        output.show_rows(asdict(finding) for finding in found)
        raise typer.Exit(ExitCode.FAILED)
    output.show_rows(
        {
            "chain": verdict.chain,
            "entries": verdict.entries,
            "heads": verdict.heads,
            "signed_up_to": verdict.signed_length,
            "verdict": "whole",
        }
        for verdict in verdicts
    )


@app.command()
def accesses(
    tenant: OfTenant,
    subject: Annotated[str | None, typer.Option(help="Only accesses to data of this person.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the latest.")] = 100,
) -> None:
    """Who viewed or changed data of persons, latest first: names of fields, never values (IN-12)."""

    async def work(conn: Connection, _: Settings) -> list[dict[str, Any]]:
        return await list_accesses(conn, tenant, subject_id=subject, size=limit)

    output.show_rows(
        {name: row[name] for name in ("at", "actor", "action", "object_type", "object_id", "subject_id", "fields", "reason")}
        for row in within(tenant, work)
    )


async def _verify(settings: Settings, keys: TrustedKeys, tenant: str | None, from_topic: bool) -> list[Verdict]:
    # The topic first: what it knows, the database must know already.
    outside = await _published(settings) if from_topic else []
    scan = await open_pool(settings, "scan", size=1, wait=False)
    try:
        async with scan.acquire() as conn:
            known = {*await list_chains(conn), *(one.head.tenant_id for one in outside)}
    finally:
        await scan.close()
    chosen = sorted(known) if tenant is None else ["" if tenant == "-" else tenant]
    return [await _verify_one(settings, keys, name, outside) for name in chosen]


async def _verify_one(settings: Settings, keys: TrustedKeys, tenant_id: str, outside: Sequence[SignedHead]) -> Verdict:
    # No transaction: a long log is read in pages, each a statement of its own.
    pool = await open_pool(settings, "worker", size=1, wait=False)
    try:
        async with pool.acquire() as conn:
            await conn.execute("select set_config('app.tenants', $1, false)", array_literal([tenant_id]))
            return await verify_chain(conn, tenant_id, keys, outside)
    finally:
        await pool.close()


async def _published(settings: Settings) -> list[SignedHead]:
    """Every head on the topic, to its present end."""
    reader, found = consumer(settings), list[AuditHeadSigned]()
    await reader.start()
    try:
        topic = physical(settings, TOPIC)
        numbers = await reader._client._wait_on_metadata(topic) or set()
        places = [TopicPartition(topic, number) for number in numbers]
        begins, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
        reader.assign([place for place in places if ends[place] > begins[place]])
        for place in reader.assignment():
            reader.seek(place, begins[place])
        unread = set(reader.assignment())
        while unread:
            batches: dict[TopicPartition, list[Any]] = await reader.getmany(timeout_ms=500)
            for place, records in batches.items():
                for record in records:
                    event = parse(from_kafka(record.value, record.headers))
                    found += [event] if isinstance(event, AuditHeadSigned) else []
                if records and records[-1].offset + 1 >= ends[place]:
                    unread.discard(place)
    finally:
        await reader.stop()
    return heads_of(found)
