"""What goes over HTTP, each thing once: the service answers with these types, and the client is typed by them.

A module for each noun, and the values that they share. Plain types, so that a client imports neither the kernel nor a
database. Instants are text in ISO 8601 where a name ends in ``_at`` or is ``as_of``, and microseconds since the epoch,
UTC, where it ends in ``_us``; durations are microseconds.
"""
