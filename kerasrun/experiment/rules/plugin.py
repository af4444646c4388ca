"""A function or a class of a plugin that gives the data."""

from kerasrun import plugins
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import SOURCES, identifiers
from kerasrun.keras_source import imported_bases
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse what loads TensorFlow too early, has keys of all data, or is a class that cannot give arrays."""
    del facts
    if experiment is None or (name := experiment.data.kind) not in identifiers(SOURCES):
        return []
    from kerasrun.sources.plugin import is_taken, keys_of, methods_of

    one = plugins.added_source(name)
    what = "argument" if one.is_function else "field"
    found = [
        f"the {what} '{key}' of {name} is a name that all data have, or begins with '_'; give it another one"
        for key in keys_of(one)
        if is_taken(key, one)
    ]
    if line := plugins.import_of_keras(name):
        found.append(
            f"{line} imports Keras, but data are read before TensorFlow is started; put {name} into a plugin of its own"
        )
    if not one.is_function and "kerasrun.sources.Source" not in imported_bases(one.place):
        found.append(f"{plugins.place_of_source(name)}: derive {name} from kerasrun.sources.Source")
    elif not one.is_function and "arrays" not in methods_of(one):
        found.append(f"{plugins.place_of_source(name)}: {name} needs arrays(self, split), which returns (x, y) or None")
    place = places.key_place(("data", name))
    return [Problem(place, f"data.{name}", one) for one in found]
