"""What differs between the kinds of database, a file each."""
