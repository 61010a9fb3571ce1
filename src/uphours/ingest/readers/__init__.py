"""Formats of files, each read in batches of rows."""
