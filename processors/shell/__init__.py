"""The one batch algorithm that every processor runs in (DESIGN section 5).

    fetch -> decode -> prepare -> [ begin  fence  look up  load  decide  write  commit ] -> mirror
                                    `-------- one PostgreSQL transaction ---------'

| module | owns |
|---|---|
| `processor` | what a processor must provide |
| `messages`, `decoding` | a record, and what becomes of it |
| `plan` | the pure heart: apply, drop, wait or park, in order |
| `batch` | the transaction, steps 2 to 8 |
| `committing` | retry, split, park the culprit |
| `offsets`, `assignment` | positions, epochs, takeover |
| `set_aside`, `rounds`, `gaps` | parked and waiting messages, orders, closing gaps |
| `consumer` | the loop |
"""

from processors.shell.consumer import GroupMember
from processors.shell.messages import Aggregate, Message, Position
from processors.shell.processor import Decided, Preparing, Processor
from processors.shell.sequences import AppliedSequences

__all__ = ["Aggregate", "AppliedSequences", "Decided", "GroupMember", "Message", "Position", "Preparing", "Processor"]
