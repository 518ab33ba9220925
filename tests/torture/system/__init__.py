"""The whole system under attack, judged by an oracle: real processes, a real database and broker of its own.

| module | owns |
|---|---|
| `world` | the servers of one run, made ready: roles, schema, topics with few partitions, people |
| `fleet` | our processes by name: kill, freeze, end, start again, ask for metrics and memory |
| `lives` | what is sent: legal lives of work items, and what each must come to |
| `load` | sending it through both doors, for as long as it takes, and the file of what was acknowledged |
| `probes` | how long until the system is live again |
| `verdict` | the judgement: database, topic and board against the file |
| `attacks*` | the tortures, each from a world to figures |
| `record` | one JSON line per finished step |

The suite runs each attack short (tests/e2e/system), `make torture` in full. docs/reference/torture.md tells how.
"""
