"""Notifications inside the application: one row for each user, written once however often its effect is performed.

| module | owns |
|---|---|
| `performing` | the effect of kind `notification`: which rows, and what became of those for whom there is none |
| `reads` | a user's own notifications, and that he has read them |
| `purge` | what a shredded subject leaves |
"""
