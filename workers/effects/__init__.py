"""The role `effects`: makes the calls that are due, outside any transaction, many at once, and records what they came to.

    claim (cs_scan) --> read requests (cs_worker) --> call --> record (cs_worker, by tenant and owner's kind:
                                 |                              |      the owner's own statement, else one transaction)
                                 +--- leases renewed every 2 s -+

| module | owns |
|---|---|
| `running` | the process: its loops, and how it leaves |
| `caller` | the calls in flight, their leases, what senders answer |
| `recorder` | outcomes in batches, and what is done when recording them fails |
| `dues` | delays that are over and kinds that need no network |
| `circuits` | what the answers say about an endpoint |
| `batches` | one batch at a time per key, keys side by side |
| `metrics` | what it tells Prometheus |
"""
