"""What operators do to running groups: positions, the switch, set-aside messages. Every deed is audited in its transaction.

Orders only: a position's epoch is raised, a row is marked; the partition's owner does the work. Talks to PostgreSQL alone;
what Kafka knows (ends, instants, members) is handed in.

| module | owns |
|---|---|
| `decisions` | where a move leads, and what is refused. Pure |
| `positions` | moving a group, giving up a gap |
| `groups` | the switch, the overview |
| `parked` | listing, showing, redriving and discarding parked messages |
| `endings` | incidents whose trouble is over |
"""
