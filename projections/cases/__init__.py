"""Case snapshots -> plain tables: the pure projection, its writing, and the processor of one table version."""
