"""Models that other programs have trained."""
