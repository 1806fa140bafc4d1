"""Translating folders, sequences and videos: plan, manifest, results, gallery."""
