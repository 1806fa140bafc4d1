"""Folders, sequences and videos through an engine: plan, manifest, results, gallery."""
