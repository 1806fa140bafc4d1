"""Ours: some packages, torch-fidelity for one, install a `tests` of their own."""
