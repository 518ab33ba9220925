"""The HTTP door: parse, prove who asks, open one transaction, call one command, map the answer. No rules, no SQL."""
