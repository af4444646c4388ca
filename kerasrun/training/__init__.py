"""The loop, the callbacks, resuming and stopping."""
