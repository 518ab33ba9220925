"""Rebuilds of table versions: what an order may become, the order itself, and what both doors may ask for.

The work is done by `projections.rebuild`; here are the decisions and the rows.
"""
