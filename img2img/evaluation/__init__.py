"""Models and results measured against targets, and compared with each other."""
