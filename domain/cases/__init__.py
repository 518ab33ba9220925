"""Cases: encrypted snapshots of class instances, and the mapping that makes plain tables of them."""
