"""The language of Casestream: events, commands, envelope, topics, groups and errors. It never does I/O."""
