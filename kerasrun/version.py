"""The version of kerasrun, in a file that the build reads without importing anything else."""

VERSION = "0.1.0"
