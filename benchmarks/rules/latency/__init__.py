"""From the commit of an entity's change to the first byte of the webhook that a rule sends because of it."""
