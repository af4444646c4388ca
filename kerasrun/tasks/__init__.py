"""The tasks, one file each: what labels can be, with everything that follows from them."""
