"""What trains and validates in a stage: the whole network on the examples, or the rest of it on what its frozen layers
compute of them.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.experiment.schema import Experiment
from kerasrun.pipeline.augmentation import Augmentation
from kerasrun.pipeline.batches import BatchesInMemory, is_copied, training_batches
from kerasrun.pipeline.selection import is_array
from kerasrun.reading.data import Inputs, Split
from kerasrun.reading.memory import kept_within, memory_budget
from kerasrun.tasks.base import Masks
from kerasrun.training.building import BuiltModel
from kerasrun.training.callbacks import is_from_plugin
from kerasrun.training.evaluator import Evaluator
from kerasrun.training.frozen import FrozenPart, OnFeatures, features, frozen_part, part_to_keep
from kerasrun.training.steps import FusedSteps

logger = logging.getLogger("kerasrun")

Batches = Iterator[Any] | BatchesInMemory
"""What `FusedSteps` takes."""


class Computation:
    """The graphs of a stage, and the batches that they run on; a resume makes all of it anew."""

    def __init__(
        self,
        experiment: Experiment,
        built: BuiltModel,
        train: Split,
        validation: Split | None,
        sample_weight: NDArray[np.float32] | None,
        augmentation: Augmentation | None,
        strategy: Any = None,
    ) -> None:
        self.experiment = experiment
        self.built = built
        self.model = built.model
        self.train = train
        self.validation = validation
        self.labels = built.targets.task.training_labels(train, built.targets)
        self.sample_weight = sample_weight
        self.augmentation = augmentation
        self.strategy = strategy
        self.fused_steps = FusedSteps
        self.frozen: FrozenPart | None = None
        """What is computed once in this stage."""
        self.budget = 0
        """Bytes that this may take, as they were free when the run began: it decides in every stage, whatever memory a
        resume finds, since with features the last bits are others."""
        self.run_on_examples()

    def run_on_examples(self) -> None:
        """Everything anew that was traced with an earlier optimizer and its metrics."""
        self._inputs: Inputs = self.train.inputs
        self._of_array = False
        self._take(self.model)
        self.evaluator = self._evaluator()

    def measure_budget(self) -> None:
        """Once for a run."""
        with kept_within(self.experiment.cache.memory):
            self.budget = memory_budget()

    def choose_frozen_part(self, callbacks: Sequence[Any]) -> None:
        """Which layers can be computed once in the stage that begins."""
        changes = self.augmentation is not None or any(map(is_from_plugin, callbacks))
        examples = len(self.train) + (len(self.validation) if self.validation else 0)
        may = self.experiment.cache.features and not changes and not self.strategy
        self.frozen = part_to_keep(self.model, examples, self.budget) if may else None

    def frozen_state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {"kept": self.frozen is not None, "budget": self.budget}

    def restore_frozen_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `frozen_state` gave."""
        self.budget = state["budget"]
        self.frozen = frozen_part(self.model) if state["kept"] and not self.strategy else None

    def compute_frozen_part(self, stop: Callable[[], bool]) -> bool:
        """Compute the frozen layers once, if there are any, and run on the rest then; False if `stop` said so."""
        if self.frozen is None:
            return True
        splits = [self.train, *([self.validation] if self.validation else [])]
        examples = sum(map(len, splits))
        logger.info(
            "the layers up to %s are frozen: computing them once for %d examples, %.1f MB (-s cache.features=false "
            "computes them in each epoch)",
            *(self.frozen.last, examples, examples * self.frozen.example_bytes / 1e6),
        )
        kept = []
        for split in splits:
            computed = features(self.frozen, split.inputs, self.experiment.fit.batch_size, stop)
            if computed is None:
                return False
            kept.append(computed)
        self._inputs = kept[0]
        self._take(OnFeatures(self.model, self.frozen))
        self.evaluator = self._evaluator(network=self.frozen.rest, inputs=kept[-1])
        return True

    def batches(self, first_step: int) -> Batches:
        """Those that train, from a global step on; several devices share each, whose size is the global one."""
        fit = self.experiment.fit
        of_both: dict[str, Any] = {
            "batch_size": fit.batch_size,
            "seed": self.experiment.seed,
            "first_step": first_step,
            "sample_weight": self.sample_weight,
        }
        self._of_array = is_array(self._inputs)
        simple = self.augmentation is None and not self.strategy
        if simple and not isinstance(self.labels, Masks) and is_copied(self._inputs):
            return BatchesInMemory(self._inputs, self.labels, **of_both)
        batches = training_batches(
            self._inputs,
            self.labels,
            epochs=fit.epochs,
            steps_per_epoch=fit.steps_per_epoch,
            augmentation=self.augmentation,
            **of_both,
        )
        iterator: Iterator[Any] = iter(
            self.strategy.experimental_distribute_dataset(batches) if self.strategy else batches
        )
        return iterator

    def can_read_faster(self) -> bool:
        """Whether all examples are in memory since the last `batches` were made."""
        return not self._of_array and is_array(self._inputs)

    def _take(self, network: Any) -> None:
        self.fused = self.fused_steps(network, self.strategy)
        self.model.train_function = self.fused.function  # where TensorBoard looks for the graph

    def _evaluator(self, **on_features: Any) -> Evaluator | None:
        if self.validation is None:
            return None
        batch_size = self.experiment.fit.batch_size
        return Evaluator(self.model, self.validation, self.built.targets, batch_size, **on_features)
