"""Models: specification, model file, resume state, and checkpoints of other programs."""
