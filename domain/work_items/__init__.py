"""Work items: the state machine as data, pure decisions, their store, and the commands that both doors call."""
