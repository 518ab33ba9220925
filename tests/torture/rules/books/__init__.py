"""Exactly-once books of rules: what events must have done, computed from the events alone, against what was done.

| module | owns |
|---|---|
| `book` | the rules of the run, as people write them |
| `traffic` | lives of leads, and the events that tell of them, each delivered one to five times |
| `oracle` | what must come of it: written from the documents, without a word of ours |
| `sinks` | a webhook receiver and a mail sink that remember ids |
| `verdict` | tables and sinks against the oracle |
| `play` | the run: processes killed, the clock moved on, the past read again |

The suite runs it once and short (tests/e2e/rules/test_books.py), `make torture` in full.
"""
