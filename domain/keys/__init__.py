"""Subjects' keys as operators and writers see them: who may be read, new keys, new wrapping, destruction.

| module | owns |
|---|---|
| `guard` | the buckets' locks and the main ledger: what every transaction that encrypts or decrypts asks first |
| `ledgers` | the union of the three ledgers: keys database, main database, file outside both |
| `rotate`, `rewrap` | a subject's next data key; all data keys under another key-encryption key |
| `shred` | destruction in steps, each idempotent, and its proof report |
| `purge` | what else holds a subject's data, and how it goes |

The keys database itself (`data_keys`, its ledger) is reached through `runtime.keys.store` alone.
"""
