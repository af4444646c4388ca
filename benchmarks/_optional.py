"""What only peers need: a benchmark does without, and says so."""

from importlib.util import find_spec

NAMES = {"torch": "PyTorch", "scipy": "SciPy", "optuna": "Optuna", "tf_keras": "tf_keras"}


def is_installed(module: str) -> bool:
    """Whether it is there; if not, a line is printed beside the tables."""
    if find_spec(module):
        return True
    print(f"{NAMES[module]} is not installed: skipped (pip install -e '.[bench]')\n", flush=True)
    return False
