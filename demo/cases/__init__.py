"""The demo's second chapter: cases. Snapshots become tables, a column is mapped and rebuilt, a person is forgotten."""
