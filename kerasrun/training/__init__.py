"""The loop, its state, the callbacks and the devices."""
