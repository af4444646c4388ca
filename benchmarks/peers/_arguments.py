"""What the training peers are told; read without Keras."""

import argparse
from pathlib import Path


def arguments(description: str | None) -> argparse.Namespace:
    """`--network --data --batch-size --epochs`, as every training peer takes them."""
    return parser_for(description).parse_args()


def parser_for(description: str | None) -> argparse.ArgumentParser:
    """For a peer that takes more than `arguments`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--network", choices=["lenet", "mlp"], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    return parser


def parser_of_sharing(description: str | None) -> argparse.ArgumentParser:
    """For a peer of several processes or devices, `--workers`, which share a batch."""
    parser = parser_for(description)
    parser.add_argument("--workers", type=int, required=True)
    return parser
