"""A header whose name is not UTF-8: the client's parser raises in the middle of a fetch. The partition must go on."""

import pytest

from tests.e2e.shell.conformance import SUBJECTS, item_id
from tests.e2e.shell.harness import create_group_topics, member, produce, settings_for
from tests.e2e.shell.raw_producer import produce_with_broken_header
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

WORK_ITEMS = SUBJECTS["work-items"]


@pytest.mark.requirement("SP-9")
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "lz4"])
async def test_its_partition_and_the_others_go_on(database: ClonedDatabase, fresh_kafka: FreshKafka, compressed: bool) -> None:
    await WORK_ITEMS.prepare(database)
    await create_group_topics(fresh_kafka, WORK_ITEMS.make(), 2)
    good, bad = WORK_ITEMS.history("good", 4), WORK_ITEMS.history("bad", 3)
    other = [event for number in range(20) for event in WORK_ITEMS.history(f"other{number}", 3)]
    await produce_with_broken_header(fresh_kafka, WORK_ITEMS.topic, 1, [*good[:2], *bad, *good[2:]], {0, 3}, compressed)
    await produce(fresh_kafka, WORK_ITEMS.topic, other)
    expected = {item_id(f"other{number}"): (3, 3) for number in range(20)} | {item_id("good"): (4, 4), item_id("bad"): (3, 3)}

    async def all_applied() -> bool:
        return await WORK_ITEMS.read(database) == expected

    async with member(settings_for(database, fresh_kafka), WORK_ITEMS.make()):
        await until(all_applied, what="everything: an unknown header, however broken, costs no message")
