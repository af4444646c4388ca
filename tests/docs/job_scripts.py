"""Job scripts of the documentation, run by bash with programs that say what they were asked."""

import subprocess


def printed_by(script, folder, **environment):
    """Run a script in a folder, with these variables alone; the lines that it printed, and nothing to stderr."""
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.splitlines()
