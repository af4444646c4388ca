"""Going on from what another process has written: what may differ, what is lost, where to begin."""
