"""The forms in which a trained model leaves kerasrun: one file each."""
