"""What speaks to Casestream from outside, over the two doors that every user has: HTTP and Kafka commands.

A client of the system, never a part of it: no connection to PostgreSQL, no import of a door. Only the command line and the
demo use it.
"""
