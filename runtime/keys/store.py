"""The keys database's SQL, as one object: data keys and the ledger. Takes connections, begins no transaction."""

from runtime.sql import load_queries

queries = load_queries(__file__)
