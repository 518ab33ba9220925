"""A quixstreams application: one message at a time, one transaction for each message that writes."""

import os
from typing import Any

import orjson
import psycopg
from quixstreams import Application

from benchmarks.rules.stream.peers.deciding import (
    BOOTSTRAP,
    DATABASE_URL,
    EFFECT,
    INBOX,
    LOG,
    REMEMBER,
    TOPIC,
    Clock,
    decide,
    rows,
)

inbox = INBOX.format("%s", "%s")
log = LOG.format(*["%s"] * 9)
effect = EFFECT.format(*["%s"] * 6)
clock = Clock()


def main() -> None:
    app = Application(
        broker_address=BOOTSTRAP,
        consumer_group="peer-quix-" + os.environ["PEER_RUN"],
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel="ERROR",
    )
    conn = psycopg.connect(DATABASE_URL, autocommit=True, prepare_threshold=1)
    stream = app.dataframe(app.topic(TOPIC, value_deserializer="bytes", key_deserializer="bytes"))

    def one(value: bytes) -> None:
        """Judge, and write what it comes to."""
        event = orjson.loads(value)
        found = decide(event)
        if found or REMEMBER:
            with conn.transaction():
                write(conn, event, found)
        if clock.done():
            clock.say()
            os._exit(0)

    stream.update(one)
    app.run()


def write(conn: Any, event: dict[str, Any], found: list[str]) -> None:
    """The rows of one message, in the caller's transaction."""
    if REMEMBER and conn.execute(inbox, (event["tenantId"], event["eventId"])).rowcount == 0:
        return
    for _ in found:
        logged, planned = rows(event)
        conn.execute(log, logged)
        conn.execute(effect, planned)


if __name__ == "__main__":
    main()
