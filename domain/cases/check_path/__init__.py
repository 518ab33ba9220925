"""Check Path: what a JSONPath finds in real records of a class, asked where it can hang nobody (CD-10, CD-14)."""
