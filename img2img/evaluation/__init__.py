"""Measures models and results against targets, and compares models with each other."""
