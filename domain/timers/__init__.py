"""Timers: something to do at a time, by the database's clock, once, whatever dies meanwhile.

| module | owns |
|---|---|
| `timer` | the values, and what a handler answers |
| `commands` | arm, disarm, fire |
| `cron` | pure: the next fire of a cron expression in a zone, and which missed ones are caught up |
| `purge` | a shredded subject's timers |
"""
