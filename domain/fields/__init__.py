"""How values of an entity are named, read and shown as text: shared by rules, templates and entities."""
