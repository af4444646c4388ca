"""`deterministic`: what it makes equal, and that it is kept with the run."""

import json

import pytest

from tests import forked
from tests.training.exactness import variables_digest

pytestmark = pytest.mark.tensorflow

# Thousands of gradients are added to each row of the table: on several threads their order would vary.
EMBEDDING = """
preprocessing: []
model:
  layers:
    - Flatten
    - Embedding: {input_dim: 256, output_dim: 8}
    - GlobalAveragePooling1D
    - Dense: {units: 10, activation: softmax}
compile: {optimizer: {SGD: {learning_rate: 1.0}}}
"""


@pytest.mark.long
def test_an_embedding_trains_to_the_same_bits(train):
    first, second = train(EMBEDDING), train(EMBEDDING)
    assert variables_digest(first.last_model) == variables_digest(second.last_model)


# A process of its own: the tests share theirs, which has begun deterministically.
WITHOUT = """
import sys
import kerasrun
from pathlib import Path
from kerasrun.model_file import read_info
run = kerasrun.train("a.yaml", overrides=["deterministic=false"], output=Path("runs"))
kerasrun.resume(run, overrides=["fit.epochs=2"])
kerasrun.evaluate(run, split="train")
assert read_info(run.best_model).deterministic is False
from tensorflow.python.framework.config import is_op_determinism_enabled
assert not is_op_determinism_enabled()
try:
    kerasrun.train("a.yaml")
except kerasrun.errors.DeviceError as error:
    print(error)
"""


@pytest.mark.long
def test_a_run_without_it_is_resumed_and_evaluated_without_it(tmp_path, digits):
    (tmp_path / "a.yaml").write_text("data: {npz: {path: digits.npz}}\nmodel: {MLP: {units: [8]}}\n")
    done = forked.run(["-c", WITHOUT], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "deterministic: true is asked for: call kerasrun in a process of its own" in done.stdout
    recorded = json.loads((tmp_path / "runs" / "a-1" / "run.json").read_text())
    assert recorded["device"]["deterministic"] is False
