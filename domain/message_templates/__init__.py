"""Message templates of tenants: subject, text and HTML with `{{path}}`, in versions that stay as they are.

| module | owns |
|---|---|
| `wording` | pure: what is wrong with a wording, what it reads, and what it becomes with values |
| `commands` | save, remove |
| `reads` | what is there, and the wordings that mails are made from |
"""
