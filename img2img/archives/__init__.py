"""Files of tensors, of whoever made them, read within bounds and with nothing in them run."""
