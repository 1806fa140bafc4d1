"""The signals that ask a program to end."""

import signal

_NAMES = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
# A scheduler sends the first, the closing of a terminal the second; batch systems announce the end
# of the time by one of the others. Not all systems have all. SIGQUIT is for ending at once.
STOPPING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
