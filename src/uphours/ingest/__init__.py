"""Files and tables come in: they are read, checked row by row, and kept or quarantined."""
