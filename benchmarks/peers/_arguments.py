"""What the training peers are told; read without Keras."""

import argparse
from pathlib import Path


def arguments(description: str | None) -> argparse.Namespace:
    """`--network --data --batch-size --epochs`, as every training peer takes them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--network", choices=["lenet", "mlp"], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    return parser.parse_args()
