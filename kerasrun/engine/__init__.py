"""The parts that training and results share: devices, prepared data, built models, their steps and their state."""
