"""The demo's third chapter: rules. Entity changes fire them, mails and webhooks meet faults, and the worker is killed."""
