"""`make demo`: the main job on real input, through the doors that users have, and the books at the end.

A client of the system, never a part of it: it publishes over HTTP and Kafka, reads as an analyst, and counts. Only the command
line imports it.
"""
