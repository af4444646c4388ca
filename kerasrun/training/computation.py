"""Train and validate in a stage: the whole network on the examples, or the rest of it on what its frozen layers compute
from them.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.callbacks.base import Adapter
from kerasrun.engine import state
from kerasrun.engine.building import begin_stage
from kerasrun.engine.evaluator import Evaluator
from kerasrun.engine.frozen import FrozenPart, OnFeatures, features, frozen_part, part_to_keep
from kerasrun.engine.job import Job
from kerasrun.engine.steps import FusedSteps, Metrics
from kerasrun.pipeline.batches import BatchesInMemory, is_copied, training_batches
from kerasrun.pipeline.selection import is_array
from kerasrun.reading.data import Split
from kerasrun.reading.memory import kept_within, memory_budget
from kerasrun.runs.records import FeaturesRecord
from kerasrun.tasks.base import Masks
from kerasrun.training.class_weight import sample_weight, weight_of_mixed
from kerasrun.workers import channel
from kerasrun.workers.shares import Share
from kerasrun.workers.team import Order, checksum

logger = logging.getLogger("kerasrun")

Batches = Iterator[Any] | BatchesInMemory
"""The batches that `FusedSteps` takes."""


class Computation:
    """The graphs of a stage, and the batches that they run on; a resume makes all of it again."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.team = job.team
        self.model = job.model
        self.labels = job.targets.task.training_labels(job.train, job.targets)
        weights_of = weight_of_mixed if job.experiment.mixing else sample_weight
        self.sample_weight = weights_of(job.experiment.fit.class_weight, job.train, job.data.classes)
        self.frozen: FrozenPart | None = None
        """The layers that are computed once in this stage."""
        self.budget = 0
        """Bytes that this may take, as they were free when the run began: it decides in every stage, whatever memory a
        resume finds, since with features the last bits are others."""
        self._shared: int | None = None
        """The checksum of the state when all processes had the same."""
        self.run_on_examples()

    def enter_stage(self, before: int, stage: int) -> None:
        """Go through the stages from that after `before`, which choose what learns; then make again what was traced."""
        self.team.say(Order.ENTER_STAGE, before, stage)
        for number in range(before + 1, stage + 1):
            begin_stage(self.job, number)
        self.run_on_examples()

    def begin_epoch(self) -> None:
        """Forget what the metrics have counted."""
        self.team.say(Order.BEGIN_EPOCH)
        self.metrics.reset()

    def train(self, batches: Batches, steps: int) -> int | None:
        """Train on the next `steps` batches; return as `FusedSteps`."""
        channel.tell(phase="training")
        with self.team.together(Order.TRAIN, steps):
            bad = self.fused(batches, steps)
        self.team.step += steps
        return bad

    def share_state(self) -> None:
        """Give every process the state of rank 0."""
        with self.team.together(Order.SHARE_STATE):
            arrays = self.team.of_leader(state.model_arrays(self.model))
        if not self.team.leads:
            state.restore_model(self.model, arrays)

    def share_changes(self) -> None:
        """Give every process what callbacks have changed since all had the same state."""
        if self.team.workers > 1 and checksum(self._learned()) != self._shared:
            self.share_state()
            self._shared = checksum(self._learned())

    def check_state(self, step: int) -> None:
        """
        Raises:
            WorkersError: if a process has another state than rank 0.
        """
        self.team.say(Order.CHECK_STATE, step)
        if self.team.workers > 1:
            self._shared = self.team.require_equal_state(self._learned(), step)

    def _learned(self) -> state.Arrays:
        """Return the state without that of metrics, which only rank 0 uses for validation."""
        return {name: one for name, one in state.model_arrays(self.model).items() if not name.startswith("metrics/")}

    def validate(
        self, stop: Callable[[], bool] = lambda: False, see: Callable[[NDArray[np.float32]], None] | None = None
    ) -> dict[str, float] | None:
        """Evaluate the examples that validate; arguments and result as of `Evaluator.evaluate`."""
        assert self.evaluator is not None
        with self.team.together(Order.EVALUATE):
            return self.evaluator.evaluate(_telling("validating", stop), see)

    def run_on_examples(self) -> None:
        """Make everything again that was traced with an earlier optimizer and its metrics."""
        self._train = self.job.train
        self._of_array = False
        self.metrics = Metrics(self.model)
        self._take(self.model)
        self.evaluator = self._evaluator(self.job.validation)

    def measure_budget(self) -> None:
        """Measure the free memory, once for a run."""
        with kept_within(self.job.experiment.cache.memory, self.team.place.count_on_host):
            self.budget = memory_budget()

    def choose_frozen_part(self, callbacks: Sequence[Adapter]) -> None:
        """Choose which layers are computed once in the stage that begins."""
        changes = self.job.augmentation is not None or any(one.changes_frozen_layers for one in callbacks)
        examples = sum(map(len, self.job.splits))
        may = self.job.experiment.cache.features and not changes
        self.frozen = part_to_keep(self.model, examples, self.budget) if may else None
        self.team.say(Order.KEEP_FROZEN_PART, self.frozen is not None, self.budget)

    def frozen_state(self) -> FeaturesRecord:
        """Return plain values for a checkpoint."""
        return {"kept": self.frozen is not None, "budget": self.budget}

    def restore_frozen_state(self, saved: FeaturesRecord) -> None:
        """Restore what `frozen_state` returned."""
        self.budget = saved["budget"]
        self.frozen = frozen_part(self.model) if saved["kept"] else None
        self.team.say(Order.KEEP_FROZEN_PART, saved["kept"], self.budget)

    def compute_frozen_part(self, stop: Callable[[], bool]) -> bool:
        """Compute the frozen layers once, if there are any, and then run on the rest; False if `stop` returned true."""
        if self.frozen is None:
            return True
        examples = sum(map(len, self.job.splits))
        logger.info(
            "the layers up to %s are frozen: computing them once for %d examples, %.1f MB (-s cache.features=false "
            "computes them in each epoch)",
            *(self.frozen.last, examples, examples * self.frozen.example_bytes / 1e6),
        )
        kept, size, stop = [], self.job.experiment.fit.batch_size, _telling("freezing", stop)
        with self.team.together(Order.COMPUTE_FROZEN_PART):
            for split in self.job.splits:
                others = tuple(split.others.values())
                computed = features(self.frozen, split.inputs, size, stop, others, self.team)
                if computed is None:
                    return False
                beside = {name: split.others[name] for name in self.frozen.beside}
                kept.append(replace(split, inputs=computed, others=beside))
        self._train = kept[0]
        self._take(OnFeatures(self.model, self.frozen))
        self.evaluator = self._evaluator(kept[-1] if self.job.validation else None, network=self.frozen.rest)
        return True

    def batches(self, first_step: int) -> Batches:
        """Make the batches that train, from a global step on; of each the shards of this process."""
        self.team.say(Order.MAKE_BATCHES, first_step)
        self.team.step = first_step
        fit = self.job.experiment.fit
        of_both: dict[str, Any] = {
            "batch_size": fit.batch_size,
            "seed": self.job.experiment.seed,
            "first_step": first_step,
            "sample_weight": self.sample_weight,
            "others": tuple(self._train.others.values()),
            "share": self.team.share,
        }
        inputs = self._train.inputs
        self._of_array = is_array(inputs)
        if (
            self.job.augmentation is None
            and not isinstance(self.labels, Masks)
            and all(map(is_copied, (inputs, *of_both["others"])))
        ):
            return BatchesInMemory(inputs, self.labels, **of_both)
        batches = training_batches(
            inputs,
            self.labels,
            epochs=fit.epochs,
            steps_per_epoch=fit.steps_per_epoch,
            augmentation=self.job.augmentation,
            **of_both,
        )
        iterator: Iterator[Any] = iter(batches)
        return iterator

    def can_read_faster(self) -> bool:
        """Return whether all examples have come into memory since the last `batches` were made."""
        return not self._of_array and is_array(self._train.inputs)

    def _take(self, network: Any) -> None:
        self.fused = self._sharded(network, self.team.share) if self.team.share else FusedSteps(network)
        self.model.train_function = self.fused.function  # where TensorBoard looks for the graph

    def _sharded(self, network: Any, share: Share) -> FusedSteps:
        from kerasrun.engine.sharded_steps import ShardedSteps  # a tenth of a second, which one process does without

        rest = network.part.rest if isinstance(network, OnFeatures) else network
        experiment = self.job.experiment
        of_batch = (experiment.fit.batch_size, experiment.compress or "float32")
        return ShardedSteps(rest, self.model, share, self.team.collectives, *of_batch)

    def _evaluator(self, validation: Split | None, **on_features: Any) -> Evaluator | None:
        if validation is None:
            return None
        size = self.job.experiment.fit.batch_size
        return Evaluator(self.model, validation, self.job.targets, size, team=self.team, **on_features)


def _telling(phase: str, stop: Callable[[], bool]) -> Callable[[], bool]:
    """Return what is asked between two chunks of batches, so that it tells the parent that they move."""

    def asked() -> bool:
        channel.tell(phase=phase)
        return stop()

    return asked
