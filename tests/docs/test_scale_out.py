"""What docs/scale-out.md has to copy, run by bash with programs that say what they were asked."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from kerasrun.workers.cluster import Place, from_tf_config
from tests.docs.job_scripts import printed_by

PAGE = (Path(__file__).parents[2] / "docs" / "scale-out.md").read_text(encoding="utf-8")
PROGRAMS = {
    "kerasrun": 'echo kerasrun "$@" "$TF_CONFIG"; exit $CODE',
    "srun": 'echo srun $1 $2; shift 2; "$@"',
    "scontrol": 'echo scontrol "$@"',
}


def marked(name):
    (found,) = re.findall(rf"<!-- tested: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture
def run(tmp_path):
    """Run a script with the programs above; what was called, in order."""
    for name, content in PROGRAMS.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{content}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)

    def run(script, code=0, **variables):
        path = f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
        return printed_by(script, tmp_path, PATH=path, CODE=str(code), **variables)

    return run


def test_a_job_of_slurm_is_put_back_after_a_loss(run):
    of_slurm = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "8"}
    srun, requeue = "srun --distribution=block --kill-on-bad-exit=0", "scontrol requeue 7"
    train = "kerasrun train experiment.yaml --resume --shards 4 --workers slurm "
    assert run(marked("slurm"), 143, **of_slurm) == [srun, train, requeue]
    assert run(marked("slurm"), 1, **of_slurm) == [srun, train]
    assert run(marked("slurm"), 143, **of_slurm, SLURM_RESTART_COUNT="20") == [srun, train]


def test_every_pod_of_the_job_for_kubernetes_knows_its_place(run, tmp_path):
    service, job = yaml.safe_load_all(marked("kubernetes"))
    pods = job["spec"]["template"]["spec"]
    (container,) = pods["containers"]
    name = job["metadata"]["name"]
    assert service["spec"] == {"clusterIP": "None", "selector": {"job-name": name}}
    assert service["metadata"]["name"] == pods["subdomain"] == name
    assert {one["name"] for one in pods["volumes"]} == {one["name"] for one in container["volumeMounts"]}
    (workers,) = container["env"]
    count = job["spec"]["completions"]
    assert (int(workers["value"]), job["spec"]["parallelism"], job["spec"]["completionMode"]) == (4, 4, "Indexed")
    assert count == 4

    # The name of a pod: https://kubernetes.io/docs/tasks/job/job-with-pod-to-pod-communication/
    addresses = tuple(f"{name}-{index}.{pods['subdomain']}:12345" for index in range(count))
    script = container["args"][0].replace("/runs", str(tmp_path))
    command = f"train /data/experiment.yaml --resume --shards 4 -o {tmp_path}"
    for rank in range(count):
        said = " ".join(run(script, WORKERS="4", JOB_COMPLETION_INDEX=str(rank)))
        assert said.startswith(f"kerasrun {command} {{")
        assert from_tf_config(said.removeprefix(f"kerasrun {command} ")) == Place(rank, count, addresses)


def test_two_machines_have_two_places_in_one_cluster():
    found = [json.loads(text) for text in re.findall(r"^export TF_CONFIG='(\{.*\})'$", PAGE, re.MULTILINE)]
    assert [from_tf_config(json.dumps(one)).rank for one in found] == [0, 1]
    assert found[0]["cluster"] == found[1]["cluster"]
