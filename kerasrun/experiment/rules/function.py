"""A function of a plugin that gives the data."""

from kerasrun import plugins
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import SOURCES, identifiers
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse a function in a file that loads TensorFlow too early, or whose arguments are keys of all data."""
    del facts
    if experiment is None or (name := experiment.data.kind) not in identifiers(SOURCES):
        return []
    from kerasrun.sources.function import arguments_of, is_taken

    found = [
        f"the argument '{one}' of {name} is a name that all data have, or begins with '_'; give it another one"
        for one in arguments_of(name)
        if is_taken(one)
    ]
    if line := plugins.import_of_keras(name):
        found.append(
            f"{line} imports Keras, but data are read before TensorFlow is started; put {name} into a plugin of its own"
        )
    place = places.key_place(("data", name))
    return [Problem(place, f"data.{name}", one) for one in found]
