"""Pixels that have a class: the others, which the data ignore, are kept out of losses and metrics.

Keras has `ignore_class` for one loss alone. Here the loss and every metric get the pixels with a class as so many
examples; the objects stay Keras's own, and so does what is saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasrun.tasks.base import Targets


def leave_out_ignored(arguments: dict[str, Any], targets: Targets) -> dict[str, Any]:
    """Return the arguments of `Model.compile` with a loss and metrics that see the pixels with a class alone."""
    loss = arguments["loss"]
    if hasattr(loss, "call"):
        call = loss.call
        loss.call = lambda y_true, y_pred: call(*_kept(y_true, y_pred, targets))
    else:  # a function of a plugin
        function = loss

        def loss(y_true: Any, y_pred: Any) -> Any:
            return function(*_kept(y_true, y_pred, targets))

    for metric in arguments["metrics"]:
        _attach(metric, targets)
    return {**arguments, "loss": loss}


def _attach(metric: Any, targets: Targets) -> None:
    update = metric.update_state

    def update_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        import tensorflow as tf

        del sample_weight  # pixels count alike
        kept = _kept(y_true, y_pred, targets)
        # Some metrics fail without a single example.
        tf.cond(tf.size(kept[0]) > 0, lambda: (update(*kept), tf.constant(0))[1], lambda: tf.constant(0))

    metric.update_state = update_state


def _kept(y_true: Any, y_pred: Any, targets: Targets) -> tuple[Any, Any]:
    """Return encoded labels and outputs of the pixels that have a class, (pixels, …); with the outputs' logits."""
    import tensorflow as tf

    if targets.one_hot:
        has_class = tf.reduce_sum(y_true, axis=-1) > 0
    else:
        has_class = (y_true[..., 0] if targets.units == 1 else y_true) < targets.classes
    kept = tf.boolean_mask(y_pred, has_class)
    if hasattr(y_pred, "_keras_logits"):
        kept._keras_logits = tf.boolean_mask(y_pred._keras_logits, has_class)
    return tf.boolean_mask(y_true, has_class), kept
