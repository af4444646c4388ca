"""What lies at a path: one file for each way in which data lie."""
