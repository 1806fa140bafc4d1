"""Running a trained generator on images in memory: batches, backends, strips and tiles."""
