"""Measures of how good translations are."""
