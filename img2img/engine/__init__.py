"""A trained generator over images in memory: batches, backends, strips and tiles."""
