"""What a model is: its spec, its file, the state of a run, and the formats of other programs."""
