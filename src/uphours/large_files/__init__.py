"""The same report from files that are larger than memory."""
