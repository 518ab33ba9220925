"""Where the tests' PostgreSQL and Kafka come from: addresses given, Docker, or the local stack, in this order."""
