"""Why a model says what it says of an example: a map over its picture, or a number for each of its columns.

Grad-CAM (Selvaraju et al., 2017) where a network has maps of features, else integrated gradients (Sundararajan et al.,
2017). What a patch over a picture costs (Zeiler and Fergus, 2014) says how far its map can be trusted.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.models.functional import operation_fn
from numpy.typing import NDArray

from kerasrun.engine.columns import owners
from kerasrun.engine.shard_pass import graph_of
from kerasrun.engine.steps import logits_of
from kerasrun.errors import ModelFileError
from kerasrun.model_file import TrainedModel
from kerasrun.network_layers import JOINED
from kerasrun.report.figures import READABLE_CLASSES, bars, empty, heat, pixels
from kerasrun.results.model import check_explainable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FIRST_STEPS, _MOST_STEPS = 32, 1024
"""How many points are on the line from the baseline: twice as many until the attributions are complete."""
_INCOMPLETE = 0.01
"""The share of the difference that attributions may miss."""
_PATCHES = 4
"""How many patches of a picture are side by side, and one above the other."""
_ROWS_AT_ONCE, _AT_ONCE = 4096, 128
"""How many rows, and points or patches, are computed together; of these few where a batch has room for few."""


@dataclass(frozen=True)
class Explanation:
    """How much each part of an example speaks for what is called."""

    how: str
    """The method, and what falls short."""
    relevance: NDArray[np.float64]
    """Of pixels, (height, width) from 0; of columns or steps, of either sign."""
    names: Sequence[str] = ()
    """Those of the columns or steps; none of pixels."""
    agreement: float | None = None
    """Of a map with what patches cost: the rank correlation, from -1 to 1."""

    def draw(self, figure: Any, example: NDArray[Any], title: str) -> None:
        """Draw it: with the example, where that is a picture."""
        if self.names:
            bars(figure, self.names, self.relevance, title, self.how)
            return
        how = self.how if self.relevance.any() else f"{self.how}: nothing there speaks for it"
        check = "" if self.agreement is None else f"; rank correlation with occlusion {self.agreement:.2f}"
        heat(figure, pixels(example), self.relevance, title, how + check)

    @property
    def height(self) -> float:
        """How many inches its drawing is high."""
        return 1.4 + 0.26 * min(len(self.names), READABLE_CLASSES) if self.names else 4.2


def drawn(explanations: Sequence[tuple[Explanation, str]], example: NDArray[Any]) -> "Figure":
    """Draw explanations, each with a title, one below the other."""
    heights = [one.height for one, _ in explanations]
    figure = empty(7, sum(heights))
    panels = figure.subfigures(len(heights), height_ratios=heights, squeeze=False)[:, 0]
    for panel, (explanation, title) in zip(panels, explanations, strict=True):
        explanation.draw(panel, example, title)
    return figure


@dataclass(frozen=True)
class _Step:
    """An operation of a network that has run."""

    operation: Any
    given: Sequence[Any]
    """The tensors that it took, but for masks, which have no gradient."""
    made: Sequence[Any]

    @property
    def output(self) -> Any:
        return self.made[0]


@dataclass(frozen=True)
class _Way:
    """How one output of a network is explained."""

    how: str
    place: int | None
    """The number of the operation whose output is watched; None for the first input."""
    parts: Sequence[str] = ()
    """For each number there the column or the step that it is of; none of pictures."""
    has_maps: bool = False


class Explainer:
    """Explains what a model says of an example that is a picture, a row or a sequence."""

    def __init__(self, trained: TrainedModel) -> None:
        """
        Raises:
            ModelFileError: if the network cannot be explained.
        """
        check_explainable(trained.info, trained.path)
        self._model, self._info, self._path = trained.model, trained.info, trained.path
        self._at_once = min(_AT_ONCE, 4 * self._info.batch_size)
        self._shape = tuple(int(side) for side in self._model.inputs[0].shape[1:])
        steps: list[_Step] = []

        def look(operation: Any, given: Any, output: Any) -> Any:
            steps.append(
                _Step(operation, list(filter(_is_no_mask, keras.tree.flatten(given))), keras.tree.flatten(output))
            )
            return output

        inputs = [tf.zeros((1, *one.shape[1:])) for one in self._model.inputs]
        ends = keras.tree.flatten(_run(self._model, inputs, look))[:1]
        if self._info.parts:
            ends = next(step.given for step in steps if step.operation.name == JOINED)
        self._ways = [self._way(steps, inputs[0], end) for end in ends]
        self.how = ", ".join(dict.fromkeys(way.how for way in self._ways))

    def _way(self, steps: Sequence[_Step], begin: Any, end: Any) -> _Way:
        """Choose how an output is explained: where nothing goes round what is watched, if there is such a place."""
        backwards = _needed(steps, end)
        first = next((place for place in reversed(backwards) if _learns(steps[place].operation)), None)
        if first is None:
            raise self._refusal("has no layer that learns")

        def goes_round(place: int) -> bool:
            others = [step for number, step in enumerate(steps) if number != place]
            return any(one is begin for number in _needed(others, end) for one in others[number].given)

        maps = [place for place in backwards if place >= first and _is_map(steps[place].output)]
        if maps and len(self._shape) == 3:
            of_all = next((place for place in maps if not goes_round(place)), None)
            place = maps[0] if of_all is None else of_all
            beside = ", one of several branches" if of_all is None else ""
            return _Way(f"Grad-CAM of {steps[place].operation.name}{beside}", place, has_maps=True)
        taken = steps[first].given[0]
        before = [place for place in backwards if place < first and len(steps[place].made) == 1]
        places = [place for place in before if steps[place].output is taken] + before
        if not places and taken is not begin:
            raise self._refusal("takes its input apart before its first layer")
        watched = next((place for place in places if not goes_round(place)), None)
        shape = tuple((begin if watched is None else steps[watched].output).shape[1:])
        return _Way("integrated gradients", watched, self._named_parts(shape))

    def explain(self, inputs: Sequence[NDArray[Any]], number: int, *, check: bool = True) -> Explanation:
        """Explain what is said of one example.

        Args:
            inputs: those of the network, (1, …) each.
            number: that of the class, the label or the number that is said.
            check: whether a map is held against what patches cost.

        Raises:
            ModelFileError: if the network has no gradient.
        """
        x = [tf.cast(one, tf.float32) for one in inputs]
        way = self._ways[self._column(number)[0]]
        how = way.how
        if way.has_maps:
            relevance = self._map(x, number)
        else:
            attributions, how = self._integrated(x, number)
            if len(self._shape) != 3:
                return Explanation(how, _sums(attributions, way.parts), list(dict.fromkeys(way.parts)))
            relevance = np.abs(attributions.reshape(self._shape)).sum(axis=-1)
        agreement = self._agreement(relevance, x, number) if check else None
        return Explanation(how, relevance, agreement=agreement)

    def _map(self, x: Sequence[tf.Tensor], number: int) -> NDArray[np.float64]:
        """Return the map of Grad-CAM, as large as the picture."""
        maps, gradient, _ = self._gradient(x, number, lambda given: given)
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        found = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
        resized: NDArray[np.float64] = tf.image.resize(found, self._shape[:2])[0, ..., 0].numpy().astype(np.float64)
        return resized

    def _integrated(self, x: Sequence[tf.Tensor], number: int) -> tuple[NDArray[np.float64], str]:
        """Return what each number that the first layer takes adds to the score of zeros; the line has midpoints."""
        steps = _FIRST_STEPS
        while True:
            attributions, begin, end = self._along_the_line(x, number, steps)
            found, wanted = attributions.sum(), end - begin
            # Beside a difference of nothing the rounding of float32 is large.
            if abs(found - wanted) <= max(_INCOMPLETE * abs(wanted), 1e-5 * max(abs(begin), abs(end))):
                return attributions, "integrated gradients"
            if steps == _MOST_STEPS:
                return attributions, f"integrated gradients, incomplete: their sum is {found:.3g}, not {wanted:.3g}"
            steps *= 2

    def _along_the_line(
        self, x: Sequence[tf.Tensor], number: int, steps: int
    ) -> tuple[NDArray[np.float64], float, float]:
        """Return the attributions by so many points, and the scores of zeros and of the example."""
        shares = np.array([0, 1, *(np.arange(steps) + 0.5) / steps])  # both ends, whose gradients do not count
        point, total, scores = np.zeros(()), np.zeros(()), []
        for places in np.array_split(np.arange(len(shares)), -(-len(shares) // self._at_once)):

            def on_the_line(given: tf.Tensor, some: NDArray[np.float64] = shares[places]) -> tf.Tensor:
                return given * tf.reshape(tf.cast(some, given.dtype), (-1, *[1] * (len(given.shape) - 1)))

            repeated = [tf.repeat(one, len(places), axis=0) for one in x]
            values, gradient, found = self._gradient(repeated, number, on_the_line)
            point = values[1].numpy().astype(np.float64) if places[0] == 0 else point
            total = total + gradient[np.sum(places < 2) :].numpy().sum(axis=0, dtype=np.float64)
            scores += found.numpy().tolist()
        attributions: NDArray[np.float64] = point * total / steps
        return attributions, scores[0], scores[1]

    def _gradient(
        self, x: Sequence[tf.Tensor], number: int, instead: Callable[[tf.Tensor], tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return what is at the place of the method, the gradient of the scores there, and the scores."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            watched = []

            def watch(given: tf.Tensor) -> tf.Tensor:
                value = instead(given)
                if (mask := getattr(given, "_keras_mask", None)) is not None:  # which steps count
                    value._keras_mask = mask
                watched.append(value)
                tape.watch(value)
                return value

            scores = self._scores(x, number, watch)
        gradient = tape.gradient(scores, watched[0])
        if gradient is None:
            raise self._refusal("has no gradient where it takes its input")
        return tf.cast(watched[0], tf.float32), tf.cast(gradient, tf.float32), scores

    def _scores(
        self, x: Sequence[tf.Tensor], number: int, at_place: Callable[[tf.Tensor], tf.Tensor] | None = None
    ) -> tf.Tensor:
        """Return the score of a class, before softmax, for each example; of numbers the number itself."""
        output, column = self._column(number)
        count, ends, place = itertools.count(), [], self._ways[output].place

        def see(operation: Any, given: Any, made: Any) -> Any:
            if self._info.parts and operation.name == JOINED:
                ends.extend(keras.tree.flatten(given))
            return at_place(made) if at_place and next(count) == place else made

        if at_place and place is None:
            x = [at_place(x[0]), *x[1:]]
        whole = keras.tree.flatten(_run(self._model, x, see))[0]
        self._model._clear_losses()
        if self._info.parts:
            kind, end = self._info.parts[output].outputs, ends[output]
        else:
            kind, end = self._info.outputs, whole
        scores = tf.cast(end if kind == "values" else logits_of(end), tf.float32)
        if self._info.task.one_class and scores.shape[-1] == 1:  # one unit for the second of two classes
            return scores[:, 0] if number else -scores[:, 0]
        return scores[:, column]

    def _column(self, number: int) -> tuple[int, int]:
        """Return the output that has a column of all of them, and the column's number in it."""
        for place, part in enumerate(self._info.parts):
            if number < part.columns:
                return place, number
            number -= part.columns
        return 0, number

    def _agreement(self, relevance: NDArray[np.float64], x: Sequence[tf.Tensor], number: int) -> float:
        """Return how far a map ranks patches as their cost does: that of painting them in the picture's mean colour."""
        picture, patches = x[0][0].numpy(), list(itertools.product(*map(_divided, self._shape[:2])))
        covered = np.repeat(picture[np.newaxis], len(patches), axis=0)
        for one, patch in zip(covered, patches, strict=True):
            one[patch] = picture.mean(axis=(0, 1))
        scores = [
            self._scores([tf.constant(some), *(tf.repeat(one, len(some), axis=0) for one in x[1:])], number).numpy()
            for some in np.array_split(covered, -(-len(covered) // self._at_once))
        ]
        costs = float(self._scores(x, number)[0]) - np.concatenate(scores).astype(np.float64)
        # Grad-CAM has what speaks for a class alone; the sizes of attributions have what speaks against it, too.
        costs = np.maximum(costs, 0) if self._ways[self._column(number)[0]].has_maps else np.abs(costs)
        return rank_correlation(np.array([relevance[patch].mean() for patch in patches]), costs)

    def _named_parts(self, taken: tuple[int, ...]) -> list[str]:
        """Return for each number that the first layer takes the column or the step that it is of; none of pictures.

        Raises:
            ModelFileError: if these are not the numbers of an example.
        """
        if len(self._shape) == 3:
            names, fits = [], math.prod(taken) == math.prod(self._shape)
        else:
            rows, what = self._info.row_format, "step" if max(len(taken), len(self._shape)) > 1 else "column"
            names = owners(rows) if rows else [f"{what} {number}" for number in range(1, self._shape[0] + 1)]
            fits = taken[0] == len(names)
        if not fits:
            raise self._refusal(f"makes {taken} of an example of the shape {self._shape} before its first layer")
        return [name for name in names for _ in range(math.prod(taken[1:]))]

    def _refusal(self, why: str) -> ModelFileError:
        return ModelFileError(f"{self._path} cannot be explained: its network {why}")


def computed(network: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function from rows, of which there may be many, to the network's outputs."""
    graph = tf.function(lambda some: tf.cast(network(some, training=False), tf.float32), autograph=False)

    def outputs(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = np.array_split(rows, -(-len(rows) // _ROWS_AT_ONCE))
        return np.concatenate([graph(tf.constant(part)).numpy() for part in parts])

    return outputs


def _sums(attributions: NDArray[np.float64], parts: Sequence[str]) -> NDArray[np.float64]:
    """Return the sum of each part, in the order in which they begin."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(parts))}
    places = [numbers[name] for name in parts]
    sums: NDArray[np.float64] = np.bincount(places, weights=attributions.ravel()).astype(np.float64)
    return sums


def rank_correlation(some: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation; 0 where one of the two is constant."""
    a, b = (ranks - ranks.mean() for ranks in map(_ranks, (some, others)))
    size = math.sqrt((a @ a) * (b @ b))
    return float(a @ b) / size if size else 0.0


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks, of equal values their mean."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _divided(side: int) -> list[slice]:
    """Return where patches lie along a side; there are fewer where it has fewer pixels."""
    patches = min(side, _PATCHES)
    return [slice(place * side // patches, (place + 1) * side // patches) for place in range(patches)]


def _run(network: Any, inputs: Any, see: Callable[[Any, Any, Any], Any]) -> Any:
    """Compute as a network does in inference.

    Args:
        see: gets each operation, also of networks within, with its arguments and its output, in the order in which they
            run; what it returns is taken for the output.
    """

    def seen(operation: Any) -> Callable[..., Any]:
        graph = graph_of(operation)

        def call(*given: Any, **options: Any) -> Any:
            if graph is None:
                output = operation_fn(operation, training=False)(*given, **options)
                return see(operation, (*given, *options.values()), output)
            output = _run(graph, graph._standardize_inputs(given[0]), see)
            return see(operation, output, output)  # it takes what the operations within have made

        return call

    return network._run_through_graph(inputs, operation_fn=seen)


def _needed(steps: Sequence[_Step], end: Any) -> list[int]:
    """Return the numbers of the steps that a tensor is computed by, the last one first."""
    needed, places = {id(end)}, []
    for place in reversed(range(len(steps))):
        if not needed.isdisjoint(map(id, steps[place].made)):
            needed.update(map(id, steps[place].given))
            places.append(place)
    return places


def _is_no_mask(given: Any) -> bool:
    return isinstance(given, tf.Tensor) and given.dtype != tf.bool


def _learns(operation: Any) -> bool:
    """Return whether it has a kernel: neither what scales, nor the vectors of categories and words."""
    if isinstance(operation, keras.layers.Embedding | keras.layers.Normalization):
        return False
    return any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ()))


def _is_map(output: Any) -> bool:
    """Return whether it is maps of features over more than one place."""
    shape = tuple(getattr(output, "shape", ()))
    return len(shape) == 4 and math.prod(shape[1:3]) > 1
