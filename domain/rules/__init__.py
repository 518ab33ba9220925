"""Rules: when something happens to an entity and conditions hold, actions follow. The language here is pure.

| module | owns |
|---|---|
| `change` | an event as rules see it: old and new values, what is known to have changed |
| `operators`, `values`, `moments` | facts of operators; values as their type reads them; `now - 24h` |
| `conditions`, `expectations` | the canonical tree of a rule's conditions, each value read once |
| `judging` | the full meaning of every operator |
| `fragments`, `compiling` | shortcuts, and one function for each rule |
| `index` | which rules an event starts, in order |
| `tracing`, `explaining`, `showing` | why a rule fired or not, as data and in words; conditions with their parentheses |
| `checking`, `checking_actions`, `known`, `shapes`, `problems` | all that is wrong with a rule, at once, in two languages |
"""
