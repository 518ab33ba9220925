"""Data keys of subjects: where they are kept, how they are wrapped, and how a process holds a few of them.

| module | owns |
|---|---|
| `providers` | the interface to key-encryption keys, and which provider the settings name |
| `local_keks` | providers for development: a file, an environment variable |
| `aws_kms`, `google_kms`, `vault_transit` | providers for production, asked over `remote` |
| `aws_signature`, `aws_credentials`, `crc32c` | what AWS and Google want of a request |
| `database` | connections to the keys database, and whether it is at head |
| `store` | the SQL of the keys database: data keys and the ledger |
| `ring` | `KeyRing`: current keys and secrets by id, with caches that end |
| `ledger_file` | the ledger's copy outside both databases |
"""
