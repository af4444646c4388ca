"""`stages` and `fit.epochs`, which says how many epochs they have in all."""

from typing import Any

from kerasrun.text.document import Document
from kerasrun.text.problems import Problem


def with_their_epochs(values: dict[str, Any], document: Document, problems: list[Problem]) -> dict[str, Any]:
    """The sections with `fit.epochs` filled in; adds a problem where it was given and is another number."""
    stages, fit = values.get("stages"), values.get("fit", {})
    epochs = [stage.get("epochs") for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []
    known = [number for number in epochs if isinstance(number, int)]
    if not known or len(known) < len(epochs) or not isinstance(fit, dict):
        return values
    total = sum(known)
    if fit.get("epochs", total) != total:
        received = f"received {fit['epochs']}, but the stages have {total} epochs in all"
        problems.append(document.problem(("fit", "epochs"), received, "expected it in the stages alone"))
    return {**values, "fit": {**fit, "epochs": total}}
