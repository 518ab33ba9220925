"""Secrets of tenants: values that rules name and never see.

| module | owns |
|---|---|
| `naming` | pure: what a name and a value look like, and what key signs webhooks |
| `sealing` | a value as bytes that open only in its place |
| `commands` | put, remove: what the API and the command line call |
| `reads` | names and dates for people; live values for senders alone |

A value is encrypted under a data key of the tenant (domain/keys), bound to tenant, name and version. No answer of any door
holds one: they are written, used and removed.
"""
