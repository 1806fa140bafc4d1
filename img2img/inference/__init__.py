"""Running a trained generator."""
