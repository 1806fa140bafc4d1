"""Pages that tell of runs and models, each a file with all that it shows."""
