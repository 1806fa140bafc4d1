"""Measures of the quality of translations."""
