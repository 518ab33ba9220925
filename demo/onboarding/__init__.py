"""The chapter of journeys: customers of three flows, handlers that fail, people who decide, kills, and books."""
