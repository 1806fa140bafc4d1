"""Data: from folders of images to batches."""
