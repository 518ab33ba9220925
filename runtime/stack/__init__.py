"""The local stack: PostgreSQL and Kafka as plain processes on this machine, without a container engine.

Owns everything under one home folder (`.casestream/`, or `CASESTREAM_HOME`): both servers' data, logs, pid files,
ports, secrets and the development token issuer. Used by `casestream up | down | status | doctor` and by the tests'
fixtures alike. Never used in production, and never listens on anything but loopback.
"""
