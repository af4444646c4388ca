"""What training and results compute with: devices, prepared data, built models, their steps and their state."""
