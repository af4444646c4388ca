"""The formats in which a trained model is exported: one file each, called as on the command line."""
