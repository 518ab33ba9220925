"""Mapping metadata (UC-03): classes and mixins say which paths of a case fill which columns; pure but for reading files."""
