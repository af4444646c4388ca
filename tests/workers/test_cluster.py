import json
import socket

import pytest

from kerasrun.errors import WorkersError
from kerasrun.workers.cluster import Place, free_addresses, from_slurm, from_tf_config

TWO = ["a:2222", "b:2222"]


def tf_config(cluster, job="worker", index=0, **others):
    return json.dumps({"cluster": cluster, "task": {"type": job, "index": index}, **others})


@pytest.mark.parametrize(
    ("text", "rank", "addresses"),
    [
        (tf_config({"worker": TWO}, index=1), 1, ("a:2222", "b:2222")),
        (tf_config({"worker": TWO}, index="1"), 1, ("a:2222", "b:2222")),
        (tf_config({"worker": TWO, "chief": ["c:1"]}, "chief"), 0, ("c:1", "a:2222", "b:2222")),
        (tf_config({"worker": TWO, "chief": ["c:1"]}, index=1), 2, ("c:1", "a:2222", "b:2222")),
        (tf_config({"chief": ["c:1"], "worker": ["a:1"], "ps": []}), 1, ("c:1", "a:1")),
        (tf_config({"worker": ["[::1]:1", "[fe80::2]:65535"]}), 0, ("[::1]:1", "[fe80::2]:65535")),
        # of Kubeflow's TFJob
        (
            tf_config({"worker": ["x-worker-0.ns.svc:2222", "x-worker-1.ns.svc:2222"]}, environment="cloud"),
            0,
            ("x-worker-0.ns.svc:2222", "x-worker-1.ns.svc:2222"),
        ),
        # of Vertex AI
        (
            json.dumps(
                {
                    "cluster": {
                        "chief": ["cmle-training-chief-1f-0:2222"],
                        "worker": ["cmle-training-worker-1f-0:2222"],
                    },
                    "environment": "cloud",
                    "job": {"python_module": "trainer.task"},
                    "task": {"cloud": "q0f4c3b2a", "index": 0, "trial": "1", "type": "worker"},
                }
            ),
            1,
            ("cmle-training-chief-1f-0:2222", "cmle-training-worker-1f-0:2222"),
        ),
    ],
)
def test_tf_config_says_the_place_of_a_process(text, rank, addresses):
    assert from_tf_config(text) == Place(rank, len(addresses), addresses)


@pytest.mark.parametrize(
    "text", [None, "", tf_config({"worker": ["a:1"]}), tf_config({"chief": ["a:1"], "worker": []}, "chief")]
)
def test_one_task_is_no_cluster(text):
    assert from_tf_config(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{'cluster'", "is not JSON (Expecting property name"),
        ("[" * 100_000, "is not JSON ("),
        ("[]", "has no 'cluster'"),
        ("{}", "has no 'cluster'"),
        ('{"sparseCluster": {"worker": {"0": "a:1"}}, "task": {"type": "worker", "index": 0}}', "has no 'cluster'"),
        (tf_config({}), "has no tasks in 'cluster'"),
        (json.dumps({"cluster": {"worker": TWO}}), "has no 'task'"),
        (tf_config({"worker": TWO, "ps": ["p:1"]}), "has tasks of type 'ps' in 'cluster': kerasrun has no parameter"),
        (tf_config({"worker": TWO, "evaluator": ["p:1"]}), "has tasks of type 'evaluator' in 'cluster': the workers"),
        (tf_config({"worker": TWO}, "ps"), "says that this process is of type 'ps': kerasrun has no parameter servers"),
        (tf_config({"chief": ["c:1"]}, "evaluator"), "says that this process is of type 'evaluator': the workers"),
        (tf_config({"worker": TWO, "master": ["m:1"]}), "has tasks of type 'master' in 'cluster': the types are"),
        (tf_config({"worker": TWO}, ["worker"]), "says that this process is of type ['worker']: the types are"),
        (tf_config({"worker": {"0": "a:1"}}), "has {'0': 'a:1'} for 'worker' in 'cluster', which must be a list"),
        (tf_config({"chief": TWO}, "chief"), "has 2 tasks of type 'chief', of which there is one at most"),
        (tf_config({"worker": TWO}, index=2), "says that this process is worker 2, but 'cluster' has 2 of this type"),
        (tf_config({"worker": TWO}, index=-1), "says that this process is worker -1, but 'cluster' has 2"),
        (tf_config({"worker": TWO}, "chief"), "says that this process is chief 0, but 'cluster' has 0 of this type"),
        (tf_config({"worker": TWO}, index="first"), "has the index 'first' in 'task', which must be a number"),
        (tf_config({"worker": TWO}, index="²"), "has the index '²' in 'task', which must be a number"),
        (tf_config({"worker": TWO}, index=True), "has the index True in 'task', which must be a number"),
        (tf_config({"worker": TWO}, index=None), "has the index None in 'task', which must be a number"),
        (tf_config({"worker": ["a:1", "b:1", "a:1"]}), "says that tasks worker 0 and worker 2 both listen at a:1"),
        (tf_config({"chief": ["a:1"], "worker": ["a:1"]}), "says that tasks chief 0 and worker 0 both listen at a:1"),
        (tf_config({"worker": ["a:1", "b"]}), "has the address 'b' for worker 1, which must be \"host:port\""),
        (tf_config({"worker": ["a:1", "grpc://b:1"]}), "has the address 'grpc://b:1' for worker 1"),
        (tf_config({"worker": ["a:1", "::1:1"]}), "has the address '::1:1' for worker 1"),
        (tf_config({"worker": ["a:1", "b..c:1"]}), "has the address 'b..c:1' for worker 1, whose host is no name"),
        (tf_config({"worker": ["a:1", 64 * "b" + ":1"]}), f"has the address '{64 * 'b'}:1' for worker 1, whose host"),
        (tf_config({"worker": ["a:1", 5]}), "has the address 5 for worker 1"),
        (tf_config({"worker": ["a:0", "b:1"]}), "has the port 0 for worker 0, which must be in 1 to 65535"),
        (tf_config({"worker": ["a:1", "b:65536"]}), "has the port 65536 for worker 1, which must be in 1 to 65535"),
    ],
)
def test_a_tf_config_that_does_not_fit_is_refused_in_one_sentence(text, said):
    with pytest.raises(WorkersError) as caught:
        from_tf_config(text)
    message = str(caught.value)
    assert message.startswith(f"TF_CONFIG {said}")
    assert message.endswith("or unset it to train with one process")


def test_tf_config_of_a_place_is_read_as_the_same_place():
    place = Place(1, 3, ("c:1", "a:2", "[::1]:3"))
    assert json.loads(place.tf_config()) == {
        "cluster": {"worker": ["c:1", "a:2", "[::1]:3"]},
        "task": {"type": "worker", "index": 1},
    }
    assert from_tf_config(place.tf_config()) == place


def test_a_place_knows_its_host_and_who_shares_it():
    places = [Place(rank, 4, ("a:1", "a:2", "b:1", "a:3")) for rank in range(4)]
    assert [place.leads for place in places] == [True, False, False, False]
    assert [place.host for place in places] == ["a", "a", "b", "a"]
    assert [place.count_on_host for place in places] == [3, 3, 1, 3]


def slurm(nodes, per_node, count, rank=0, node="n1", local=0, **others):
    """The variables of a task of step 0 of job 1000, whose ports begin at 12000 + 64 · 1000 mod 18000 = 22000."""
    return {
        "SLURM_PROCID": f"{rank}",
        "SLURM_STEP_NUM_TASKS": f"{count}",
        "SLURM_JOB_ID": "1000",
        "SLURM_STEP_ID": "0",
        "SLURMD_NODENAME": node,
        "SLURM_LOCALID": f"{local}",
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_TASKS_PER_NODE": per_node,
    } | {f"SLURM_{name}": value for name, value in others.items()}


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        ("n2,n10", ["n2", "n10"]),
        ("n10,n2", ["n10", "n2"]),
        ("gpu[03-04]", ["gpu03", "gpu04"]),
        ("n[8-11]", ["n8", "n9", "n10", "n11"]),
        ("n[08-10,2]", ["n08", "n09", "n10", "n2"]),
        ("n[099-101]", ["n099", "n100", "n101"]),
        ("r[1-2]n[3-4]", ["r1n3", "r1n4", "r2n3", "r2n4"]),
        ("a[1,3-5]b", ["a1b", "a3b", "a4b", "a5b"]),
        ("n[001-003,010],login1", ["n001", "n002", "n003", "n010", "login1"]),
        ("c-0-1.example.org,[7-8]", ["c-0-1.example.org", "7", "8"]),
    ],
)
def test_nodes_of_slurm_keep_order_and_zeros(nodes, names):
    count = len(names)
    assert from_slurm(slurm(nodes, f"1(x{count})", count, node=names[0])) == Place(
        0, count, tuple(f"{name}:22000" for name in names)
    )


@pytest.mark.parametrize(
    ("environment", "rank", "addresses"),
    [
        (slurm("n1", "1", 1), 0, ("n1:22000",)),
        (slurm("n1", "3", 3, 2, "n1", 2), 2, ("n1:22000", "n1:22001", "n1:22002")),
        (
            slurm("n[2-3],n1", "2(x2),1", 5, 3, "n3", 1),
            3,
            ("n2:22000", "n2:22001", "n3:22000", "n3:22001", "n1:22000"),
        ),
        (slurm("n[1-2]", "1,2", 3, 1, "n2", 0), 1, ("n1:22000", "n2:22000", "n2:22001")),
        # 64 · 281 = 17984, and the last port is 12000 + 17999
        (slurm("n1", "17", 17, JOB_ID="281"), 0, (*(f"n1:{port}" for port in range(29984, 30000)), "n1:12000")),
        # 64 · (1000 + 101) mod 18000 = 16464
        (slurm("n[1-2]", "1(x2)", 2, 1, "n2", 0, STEP_ID="1"), 1, ("n1:28464", "n2:28464")),
    ],
)
def test_slurm_says_the_place_of_a_task(environment, rank, addresses):
    assert from_slurm(environment) == Place(rank, len(addresses), addresses)


@pytest.mark.parametrize("distribution", ["block", "block:cyclic", "block:block,pack", "nopack", "*:cyclic:cyclic"])
def test_blocks_of_ranks_are_taken_whatever_is_said_of_sockets(distribution):
    environment = slurm("n[1-2]", "2(x2)", 4, 1, "n1", 1, DISTRIBUTION=distribution)
    assert from_slurm(environment).addresses == ("n1:22000", "n1:22001", "n2:22000", "n2:22001")


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        (slurm("n[1-2]", "1(x2)", 2, 1, "n2", 0, DISTRIBUTION="cyclic"), 2),  # Slurm's default for a task on each node
        (slurm("n1", "2", 2, 1, "n1", 1, DISTRIBUTION="cyclic:block"), 2),
        (slurm("n1", "2", 2, 1, "n1", 1, DISTRIBUTION="arbitrary"), 2),
        (slurm("n1", "1", 1, DISTRIBUTION="cyclic"), 1),
    ],
)
def test_another_distribution_is_taken_where_it_is_the_same(environment, count):
    assert from_slurm(environment).count == count


@pytest.mark.parametrize(
    "name",
    [
        *("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_LOCALID"),
        *("SLURMD_NODENAME", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"),
    ],
)
def test_without_a_variable_of_srun_it_is_no_step(name):
    environment = slurm("n1", "2", 2)
    del environment[name]
    with pytest.raises(WorkersError) as caught:
        from_slurm(environment)
    assert str(caught.value) == (
        f"--workers slurm: this is no step of srun: {name} is not set; "
        "start the workers by `srun kerasrun … --workers slurm`"
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (slurm("n1", "2", 2, "one"), "SLURM_PROCID is 'one', which is no number"),
        (slurm("n1", "2", 2, -1), "SLURM_PROCID is '-1', which is no number"),
        (slurm("n1", "2", 2, 2), "SLURM_PROCID is 2, SLURM_STEP_NUM_TASKS is 2"),
        (slurm("n1", "2", 3), "SLURM_STEP_NUM_TASKS is 3, SLURM_STEP_TASKS_PER_NODE adds up to 2 ('2')"),
        (
            slurm("n[1-3]", "2(x2)", 4),
            "SLURM_STEP_NODELIST names 3 nodes ('n[1-3]'), SLURM_STEP_TASKS_PER_NODE has numbers for 2 ('2(x2)')",
        ),
        (slurm("n1", "2x2", 2), "SLURM_STEP_TASKS_PER_NODE is '2x2', in which '2x2' is no number of tasks"),
        (slurm("n1", "2,", 2), "SLURM_STEP_TASKS_PER_NODE is '2,', in which '' is no number of tasks"),
        (slurm("n[0-999999999]", "2", 2), "SLURM_STEP_NODELIST is 'n[0-999999999]', more than 65,536 nodes"),
        (slurm("n" + 5 * "[0-99]", "2", 2), f"SLURM_STEP_NODELIST is 'n{5 * '[0-99]'}', more than 65,536 nodes"),
        (
            slurm("n" + 5000 * "[1]" + "[0-9]", "2", 2),
            f"SLURM_STEP_NODELIST names 'n{18 * '[1]'}[1…', which is no host",
        ),
        (slurm("n1", "1(x99999999)", 2), "SLURM_STEP_TASKS_PER_NODE is '1(x99999999)', more than 65,536 nodes"),
        (slurm(99_999 * "a" + "[", "2", 2), f"SLURM_STEP_NODELIST is '{57 * 'a'}…', which is no list of nodes"),
        (slurm("n[1-2", "2", 2), "SLURM_STEP_NODELIST is 'n[1-2', which is no list of nodes"),
        (slurm("n1]", "2", 2), "SLURM_STEP_NODELIST is 'n1]', which is no list of nodes"),
        (slurm("n1,,n2", "2", 2), "SLURM_STEP_NODELIST is 'n1,,n2', which is no list of nodes"),
        (slurm("n1,", "2", 2), "SLURM_STEP_NODELIST is 'n1,', which is no list of nodes"),
        (slurm("n[]", "2", 2), "SLURM_STEP_NODELIST is 'n[]', in which '' is no range"),
        (slurm("n[2-1]", "2", 2), "SLURM_STEP_NODELIST is 'n[2-1]', in which '2-1' is no range"),
        (slurm("bgl[123x456]", "2", 2), "SLURM_STEP_NODELIST is 'bgl[123x456]', in which '123x456' is no range"),
    ],
)
def test_variables_of_slurm_that_do_not_fit_are_refused_in_one_sentence(environment, said):
    with pytest.raises(WorkersError) as caught:
        from_slurm(environment)
    assert str(caught.value) == f"--workers slurm: {said}; start the workers by `srun kerasrun … --workers slurm`"


@pytest.mark.parametrize("distribution", ["cyclic", "cyclic:block", "plane", "plane=2", "arbitrary", "cyclic,nopack"])
def test_ranks_that_go_from_node_to_node_are_refused(distribution):
    with pytest.raises(WorkersError) as caught:
        from_slurm(slurm("n[1-2]", "2(x2)", 4, DISTRIBUTION=distribution))
    assert str(caught.value) == (
        f"--workers slurm: SLURM_DISTRIBUTION is {distribution!r}, and ranks must go on within a node; "
        "start the tasks by `srun --distribution=block`"
    )


def test_a_task_that_is_elsewhere_than_by_blocks_is_refused():
    with pytest.raises(WorkersError) as caught:
        from_slurm(slurm("n[1-2]", "2(x2)", 4, 1, "n2", 0))
    assert str(caught.value) == (
        "--workers slurm: by blocks, task 1 would be number 1 on n1, and it is number 0 on 'n2'; "
        "start the tasks by `srun --distribution=block`"
    )


def test_281_jobs_in_a_row_share_no_port():
    def ports(job):
        return {int(one.rpartition(":")[2]) for one in from_slurm(slurm("n1", "64", 64, JOB_ID=f"{job}")).addresses}

    of_jobs = [ports(job) for job in range(70_000_000, 70_000_281)]
    assert len(set.union(*of_jobs)) == 281 * 64
    assert min(map(min, of_jobs)) >= 12000
    assert max(map(max, of_jobs)) < 30000


def test_free_addresses_are_distinct_and_free():
    addresses = free_addresses(50)
    assert len(set(addresses)) == 50
    for address in addresses:
        host, _, port = address.rpartition(":")
        assert host == "127.0.0.1"
        with socket.socket() as one:
            one.bind((host, int(port)))
