"""The command line: a thin layer over the public functions, and the only part that prints."""
