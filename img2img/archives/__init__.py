"""Reading files of tensors from anywhere: with limits, and without running anything in them."""
