"""Reports and every other view of the timelines."""
