"""Leased loops beside Kafka: they find, claim and tidy; they never decide for a subject.

| module | owns |
|---|---|
| `lease` | who leads a job: one holder per name, with a term, by database time |
| `jobs` | the table of jobs, and the process that runs them |
| `housekeeping` | removing what has expired |
| `reconciler` | pairs that should agree and do not |
| `shredder` | shreds that were interrupted, and ledgers that a restore made differ |
| `effects` | the calls to the outside (a role of its own) |
| `timers` | what is to be done at a time (a role of its own) |
| `census` | what is open across tenants, as metrics |
"""
