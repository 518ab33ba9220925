"""Rules: judged alone, on a stream, and on the way from a change to its webhook."""
