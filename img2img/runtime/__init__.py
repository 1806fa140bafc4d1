"""The system under the program: devices, processes, files, threads, signals."""
