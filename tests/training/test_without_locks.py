"""Every command on a file system that has no locks, as the network disks of many clusters."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

import kerasrun
from kerasrun.runs.directory import open_run
from tests.preload import preloaded
from tests.training.exactness import variables_digest

pytestmark = pytest.mark.tensorflow

NO_LOCKS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
int flock(int file, int operation) { errno = ENOLCK; return -1; }
#define ANSWERED(name) int name(int file, int command, ...) { \\
    va_list list; va_start(list, command); void *argument = va_arg(list, void *); va_end(list); \\
    switch (command) { case F_SETLK: case F_SETLKW: case F_OFD_SETLK: case F_OFD_SETLKW: errno = ENOLCK; return -1; } \\
    return ((int (*)(int, int, ...)) dlsym(RTLD_NEXT, #name))(file, command, argument); }
ANSWERED(fcntl)
ANSWERED(fcntl64)
"""
EXPERIMENT = """
data: {hdf5: {path: digits.h5}}
model: {MLP: {units: [8], dropout: 0.2}}
fit: {epochs: 3, validation_data: test}
callbacks: [{ModelCheckpoint: {filepath: "{epoch}.weights.h5", save_weights_only: true}}]
"""
COMMANDS = """
import numpy, kerasrun
run = kerasrun.train("exact.yaml", overrides=["fit.epochs=1"])
kerasrun.resume(run, overrides=["fit.epochs=3"])
assert kerasrun.evaluate(run).examples == 60
for form in ("h5", "weights", "keras"):
    kerasrun.export(run, form)
assert len(kerasrun.predict("x.npy", model=run.best_model)) == 60
assert kerasrun.verify("exact.yaml").exact
exported = "{saved: {path: runs/exact-1/exports/exact.h5}}"
kerasrun.train("exact.yaml", overrides=[f"model={exported}", "fit.epochs=1"])
"""


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_every_command_gives_the_same_bits_without_locks(tmp_path, digits, monkeypatch):
    environment = preloaded(NO_LOCKS, tmp_path)
    with h5py.File(tmp_path / "digits.h5", "w") as file:
        for name, array in digits.items():
            file[name] = array
    np.save(tmp_path / "x.npy", digits["x_test"])
    (tmp_path / "exact.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", COMMANDS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("runs/exact-1 lies on a file system without locks") == 2  # once for each command
    whole, without = kerasrun.train("exact.yaml"), open_run("runs/exact-1")
    assert without.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert variables_digest(without.last_model) == variables_digest(whole.last_model)
