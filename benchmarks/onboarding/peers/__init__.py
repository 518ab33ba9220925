"""Peers of the engine, each a program `CONCURRENCY SECONDS` in the peers' own environment: ten steps that do nothing."""
