"""The run directory: every file name, atomic writes, the lock, checkpoints. Never imports TensorFlow."""
