"""How many operators TensorFlow runs for one training step of LeNet, and what each part of it asks for.

Counted are the nodes of the graph of `FusedSteps` after TensorFlow's optimizations, constants apart. At a small batch
size it is their number that a step costs, not their arithmetic.

Example: python -m benchmarks.operators
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._command_line import parser_for
from benchmarks._table import print_machine, print_table
from kerasrun.reading.inputs import ArrayInputs

LOOP = ("Enter", "Exit", "Identity", "LoopCond", "Merge", "NextIteration", "NoOp", "Switch")
NOT_RUN = ("Const", "_Arg", "_Retval")
PARTS = {
    "/sgd/": "optimizer",
    "compile_loss/": "loss and its gradient",
    "next_batch/": "the batch, out of memory",
    "gradient_tape/": "gradients of the network",
    "sequential": "network",
}
METRICS = "metrics: mean loss, accuracy; whether the loss is finite; counting"
BATCH = 32


def main(argv: Sequence[str] | None = None) -> None:
    """Count and print a table."""
    parser_for(__doc__).parse_args(argv)
    counts = Counter(part(node.op, node.name) for node in _optimized_graph().node if node.op not in NOT_RUN)
    rows = [[name, str(count)] for name, count in counts.most_common()]
    print_machine()
    print_table(
        f"Operators of a training step of LeNet, SGD, batch {BATCH}",
        ["", "operators"],
        [*rows, ["all", str(counts.total())]],
    )


def part(operator: str, name: str) -> str:
    """What a node of the graph is for."""
    if operator in LOOP:
        return "the loop over steps"
    return next((said for key, said in PARTS.items() if key in name), METRICS)


def _optimized_graph() -> Any:
    from kerasrun.engine import devices

    devices.start("cpu")
    import keras
    from tensorflow.python.eager import context

    from benchmarks.peers._networks import build
    from kerasrun.engine.steps import FusedSteps
    from kerasrun.pipeline.batches import BatchesInMemory

    keras.utils.set_random_seed(1)
    model = build("lenet")
    model.optimizer.build(model.trainable_variables)
    # The last batch of an epoch is smaller, so that the graph does not know how large a batch is.
    examples = ArrayInputs(np.zeros((BATCH + 1, 28, 28, 1), np.uint8))
    labels = np.zeros((BATCH + 1, 10), np.float32)
    batches = BatchesInMemory(examples, labels, batch_size=BATCH, seed=1, first_step=0)
    # There is no public way to see the graph that is run.
    context.enable_run_metadata()
    context.context().enable_graph_collection()
    FusedSteps(model)(batches, 1)
    graphs = [one.post_optimization_graph for one in context.export_run_metadata().function_graphs]
    return max(graphs, key=lambda graph: len(graph.node))


if __name__ == "__main__":
    main()
