"""`summary`: the layers of a model file as text."""

from pathlib import Path

from kerasrun.results.model import open_model


def summarize(path: Path, *, trust: bool = False) -> str:
    """Keras's own table of layers, shapes and parameters, and what the file knows; `trust` as in `model_file.load`."""
    trained = open_model(path, "cpu", trust=trust)
    lines: list[str] = []
    trained.model.summary(print_fn=lines.append)
    info = trained.info
    image = info.image_format
    if image:
        lines.append(f"input: {image.height}×{image.width} {image.color_mode}, {image.interpolation}, {image.fit_mode}")
    begin = 0
    for part in info.parts:
        lines.append(f"output {part.name}: {', '.join(info.classes[begin : begin + part.columns])}")
        begin += part.columns
    if not info.parts:
        lines.append(f"classes: {', '.join(info.classes)}")
    lines.append(f"trained: {info.epoch} epochs of {info.experiment}")
    return "\n".join(lines)
