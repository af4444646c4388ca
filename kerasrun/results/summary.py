"""`summary`: the layers of a model file as text."""

from pathlib import Path

from kerasrun.results.model import open_model


def summarize(path: Path) -> str:
    """Keras's own table of layers, shapes and parameters, and what the file knows beside the network."""
    trained = open_model(path, "cpu")
    lines: list[str] = []
    trained.model.summary(print_fn=lines.append)
    info = trained.info
    image = info.image_format
    if image:
        lines.append(f"input: {image.height}×{image.width} {image.color_mode}, {image.interpolation}, {image.fit_mode}")
    lines.append(f"classes: {', '.join(info.classes)}")
    lines.append(f"trained: {info.epoch} epochs of {info.experiment}")
    return "\n".join(lines)
