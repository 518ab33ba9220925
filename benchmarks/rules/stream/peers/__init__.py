"""What is measured beside us. Runs in an environment of its own (requirements.lock) and imports nothing of ours."""
