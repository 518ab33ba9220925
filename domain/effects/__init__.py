"""Effects: every external call and handler step as a durable row, made at least once, always under the same id (P3, P4).

| module | owns |
|---|---|
| `effect` | the values: an effect to plan, a call, an outcome |
| `answers` | what senders answer, and the policy of retries |
| `decisions` | pure: what an answer means, when to try again, what a fingerprint is |
| `channels` | pure: how many calls each tenant and endpoint may have, and the circuit of an endpoint |
| `wiring` | who owns effects, who performs internal kinds |
| `commands` | plan, promote, skip, cancel, record: what owners and workers call inside their transaction |
| `advancing` | what follows an outcome in the same transaction: owners, internal kinds, who is next in an order key |
| `claiming` | finding and leasing what is due, across tenants |
| `operating` | what a person does: list, show, retry one or all of a fingerprint |
| `purge` | a shredded subject's requests and answers |

    waiting --promote--> delayed --due--> queued --head of its order key--> due --claim--> leased --> succeeded
       |                    |                |                               ^ |              |  +-----> failed
       +--skip--> skipped   +----cancel------+------cancel-------------------|-+--> canceled  |
                                                                             +---- retry -----+
"""
