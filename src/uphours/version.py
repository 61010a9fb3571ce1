"""The version of the program, which every record names that it writes."""

VERSION = "0.1.0"
