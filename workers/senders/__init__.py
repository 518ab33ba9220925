"""Senders: one module for each kind of call that leaves the system. Each answers Done, Retry or Refused (domain/effects).

They are called outside any transaction with the effect's id, which goes with the call: `webhook-id`, `Message-ID`. What they
answer names codes and counts, never an address, a header or a word of the other side.
"""
