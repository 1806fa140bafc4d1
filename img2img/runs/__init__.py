"""Run folders: configuration, log, facts and checkpoints."""
