"""Flow definitions: read from files, checked, drawn, compared. Pure but for reading files.

| module | owns |
|---|---|
| `files` | files under definitions/flows/, with their lines |
| `checking`, `problems` | everything that is wrong with a definition, at once, in two languages |
| `reaching` | which states can be reached, and which ways lead out |
| `graph`, `drawing` | a flow as Mermaid and as SVG |
| `changes`, `migrating` | what differs between two versions, and whether instances would fit |
"""
