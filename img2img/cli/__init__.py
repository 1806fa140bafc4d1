"""The command line: a thin layer over the public functions, and the only place that prints."""
