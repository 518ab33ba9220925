"""Mapping metadata in the database: drafts, published versions, and the graph of classes that follows from files and rows."""

from domain.cases.mapping_store.graph import FollowedGraph, generation, load_graph, released_files

__all__ = ["FollowedGraph", "generation", "load_graph", "released_files"]
