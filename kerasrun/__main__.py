"""`python -m kerasrun` is `kerasrun`."""

from kerasrun.cli import main

main()
