"""The interaction service (S0): a journey of onboarding as a front end sees it. It knows interactionId, stepName, status and a
masked snapshot of the case; everything else is the engine's.

| module | owns |
|---|---|
| `interaction` | one interaction as it stands, and the tag by which a front end says what it has seen |
| `showing` | what of a case a front end sees (pure) |
| `refusals` | every "no", without a word about the engine |
| `commands` | start, submit a step, a notice of the engine; the mapping row is written in the instance's transaction |
| `reads` | look up, open the case for its owner, tell what changed since a tag |
"""
