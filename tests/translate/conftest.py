"""Fixtures of the engine, for tests of folders and videos."""

from tests.engine.conftest import tiny_generator

__all__ = ["tiny_generator"]
