"""Mutated experiment files, images and arrays: whatever is in them is read, or refused in words."""
