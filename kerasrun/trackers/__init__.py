"""What an experiment may be tracked with: one file each, named as in `track`."""
