"""A package, so that none of this name in somebody else's wheel is taken for it."""
