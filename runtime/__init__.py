"""What every process needs and no business word: settings, clients, logging, the local stack, the command line."""
