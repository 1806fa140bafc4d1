"""What the program stands on: devices, processes, files, threads, signals."""
