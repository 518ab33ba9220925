"""Onboarding: durable journeys by versioned flows. The language and the engine's decisions are pure; the store beside them
carries them out.

| module | owns |
|---|---|
| `flows/` | definitions: files, checks in two languages, graphs, what differs between versions |
| `flow` | a definition as decisions look it up |
| `instance`, `evolving`, `applying` | the folded instance, and the fold of its history |
| `decisions` | `decide`: commands, and who may give them |
| `turn` | one command's turn: events, the instance after them, orders |
| `moving`, `attempts`, `stepping`, `timing`, `reviewing`, `saga`, `following`, `operating`, `marking` | the rules, by subject |
| `orders` | what the world must do, as data: calls, timers, tasks, incidents |
| `history`, `folded` | events with their causes, and instances, as they are stored |
| `replay` | decide every command of a history again; the first divergence |
| `refusals` | every "no" |
| `definitions` | versions of flows: of the release, and pinned as rows |
| `case_definitions`, `case_checking` | what may be said in a journey, and what is wrong with what was |
| `store`, `attempt_rows`, `sealing`, `saving` | rows: instances, histories, attempts, sealed words |
| `batch`, `commands` | a batch of commands, as every door calls it; one command |
| `performing`, `calls`, `publishing` | orders carried out: effects, timers, work items, incidents; events |
| `recording` | steps recorded in one statement, on what their worker remembers |
| `folding`, `firing`, `coupling` | outcomes of calls, due timers and moves of work items, as commands |
| `handlers`, `actors` | what code of a step is; who may act as what |
| `reads`, `replaying` | screens; stored histories decided again |
"""
