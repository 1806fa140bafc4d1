"""What a run folder is: configuration, log, record and checkpoints."""
