"""The database: where polls, hours, zones and the record of what was loaded are kept."""
