"""Who trains together: the processes of a cluster, as TF_CONFIG or Slurm describes them to each of them.

`TF_CONFIG` is TensorFlow's (https://www.tensorflow.org/guide/distributed_training#setting_up_the_tf_config_environment_variable);
Kubeflow, Vertex AI and Ray write it too. Slurm's variables are those that `srun` sets for each task of a step
(https://slurm.schedmd.com/srun.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES).
"""

import itertools
import json
import math
import os
import re
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from kerasrun.errors import WorkersError
from kerasrun.text.problems import shown
from kerasrun.workers.timeouts import SECONDS_TO_COME

ADDRESS = re.compile(
    r"(?P<host>\[[^\[\]\s]+\]|[^\[\]\s:/]+):(?P<port>[0-9]{1,9})"
)  # an IPv6 address stands in brackets
JOBS = ("chief", "worker")
"""The types of tasks that train, in the order of their ranks."""
OTHER_JOBS = {
    "ps": "kerasrun has no parameter servers, start workers alone",
    "evaluator": "the workers validate by themselves, start them alone",
}
SLURM_PORTS = range(12000, 30000)
"""Below the ports that Linux gives to any program that asks for one, from 32768 on."""
PORTS_OF_A_JOB = 64
"""How many ports lie between the first one of a job and that of the next job."""

LOOPBACK = "127.0.0.1"
MOST_PROCESSES = 2**16
"""More are a mistake: "n[0-999999999]" would fill the memory before anything shows it."""

LONGEST_NAME = 255
"""Characters of a host's name (RFC 1123)."""
BLOCKS = "start the tasks by `srun --distribution=block`"


@dataclass(frozen=True)
class Place:
    """One process among all that train together.

    Args:
        rank: its number, from 0.
        count: how many processes there are.
        addresses: "host:port" of every process, in the order of ranks.
        seconds_to_come: how long the processes wait for each other before they train.
    """

    rank: int
    count: int
    addresses: tuple[str, ...]
    seconds_to_come: float = SECONDS_TO_COME

    @property
    def leads(self) -> bool:
        """Return whether this is the process that has the run directory and decides."""
        return self.rank == 0

    @property
    def host(self) -> str:
        """Return the host of this process, as it is written in its address."""
        return _host(self.addresses[self.rank])

    @property
    def is_on_one_machine(self) -> bool:
        """Return whether all processes are called by the address that nobody else reaches."""
        return all(_host(address) == LOOPBACK for address in self.addresses)

    @property
    def count_on_host(self) -> int:
        """Return how many processes share the host of this one, itself included."""
        return sum(_host(address) == self.host for address in self.addresses)

    def named(self, rank: int) -> str:
        """Return how to call a process in a message."""
        return f"worker {rank} ({self.addresses[rank]})"

    def tf_config(self) -> str:
        """Return the JSON text of TF_CONFIG for this process; every task is a `worker`, its index is its rank."""
        return json.dumps({"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": self.rank}})


ONE_PROCESS = Place(0, 1, ("",))
"""The place of a process that trains without others."""


def place_here(seconds_to_come: float = SECONDS_TO_COME) -> Place:
    """Return the place of this process by its environment: TF_CONFIG, and without it that of a process alone.

    Raises:
        WorkersError: as `from_tf_config`.
    """
    return replace(from_tf_config(os.environ.get("TF_CONFIG")) or ONE_PROCESS, seconds_to_come=seconds_to_come)


def _host(address: str) -> str:
    return address.rpartition(":")[0]


def _is_name(host: str) -> bool:
    """Return whether a host of this name can be looked for: its parts have 1 to 63 characters that can be written."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def from_tf_config(text: str | None) -> Place | None:
    """Return the place that TF_CONFIG gives to this process, or None where it is absent or has one task in all.

    The chief, if there is one, is rank 0. What else is in it, such as `environment` and `job` of Vertex AI, is ignored.

    Raises:
        WorkersError: if it is malformed, or has tasks of a type that kerasrun does not know.
    """
    if not text:
        return None
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _tf_config_error(f"is not JSON ({error})") from error
    cluster = _cluster(config)
    tasks = [(job, index) for job in JOBS for index in range(len(cluster.get(job, ())))]
    listening: dict[str, tuple[str, int]] = {}
    for job, index in tasks:
        address = _address(job, index, cluster[job][index])
        if address in listening:
            other, number = listening[address]
            raise _tf_config_error(f"says that tasks {other} {number} and {job} {index} both listen at {address}")
        listening[address] = (job, index)
    rank = tasks.index(_own_task(config, cluster))
    return Place(rank, len(tasks), tuple(listening)) if len(tasks) > 1 else None


def _cluster(config: Any) -> dict[str, list[Any]]:
    """Return the entries of 'cluster' that name tasks."""
    cluster = config.get("cluster") if isinstance(config, dict) else None
    if not isinstance(cluster, dict):
        raise _tf_config_error("has no 'cluster' that says where the tasks of each type listen")
    cluster = {job: addresses for job, addresses in cluster.items() if addresses}  # SageMaker lists types without tasks
    for job, addresses in cluster.items():
        _job(job, f"has tasks of type {job!r} in 'cluster'")
        if not isinstance(addresses, list):
            raise _tf_config_error(f"has {addresses!r} for {job!r} in 'cluster', which must be a list of addresses")
    if not cluster:
        raise _tf_config_error("has no tasks in 'cluster'")
    if len(cluster.get("chief", ())) > 1:
        raise _tf_config_error(f"has {len(cluster['chief'])} tasks of type 'chief', of which there is one at most")
    return cluster


def _job(job: Any, said: str) -> str:
    """Return a type of tasks that is known to train."""
    if isinstance(job, str) and job in JOBS:
        return job
    why = OTHER_JOBS.get(job) if isinstance(job, str) else None
    raise _tf_config_error(said, why or "the types are 'worker' and, for one task at most, 'chief'")


def _address(job: str, index: int, address: Any) -> str:
    """Return the "host:port" of a task."""
    match = ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if match is None:
        raise _tf_config_error(f'has the address {address!r} for {job} {index}, which must be "host:port"')
    if not _is_name(match["host"]):
        raise _tf_config_error(f"has the address {address!r} for {job} {index}, whose host is no name")
    if not 1 <= int(match["port"]) <= 65535:
        raise _tf_config_error(f"has the port {match['port']} for {job} {index}, which must be in 1 to 65535")
    return match[0]


def _own_task(config: dict[str, Any], cluster: dict[str, list[Any]]) -> tuple[str, int]:
    """Return type and index of this process."""
    task = config.get("task")
    if not isinstance(task, dict):
        raise _tf_config_error("has no 'task' that says which of the tasks this process is")
    job, index = _job(task.get("type"), f"says that this process is of type {task.get('type')!r}"), task.get("index")
    # Templates of pods write the index as text, and TensorFlow takes it.
    number = int(index) if isinstance(index, str) and re.fullmatch("[0-9]{1,9}", index) else index
    if not isinstance(number, int) or isinstance(number, bool):
        raise _tf_config_error(f"has the index {index!r} in 'task', which must be a number")
    count = len(cluster.get(job, ()))
    if not 0 <= number < count:
        raise _tf_config_error(f"says that this process is {job} {number}, but 'cluster' has {count} of this type")
    return job, number


def _tf_config_error(what: str, why: str = "") -> WorkersError:
    right = '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'
    return WorkersError(f"TF_CONFIG {what}{why and ': '}{why}; write {right}, or unset it to train with one process")


def from_slurm(environment: Mapping[str, str]) -> Place:
    """Return the place of this task of a step of `srun`; a single task is a place too.

    Nodes are called by the names that Slurm knows, in the order of SLURM_STEP_NODELIST; ranks go on within a node. Each
    task has a port of its own on its node, which follows from the numbers of the job and the step.

    Args:
        environment: the variables of this process.

    Raises:
        WorkersError: if this is no step of `srun`, the variables contradict each other, or ranks are dealt otherwise.
    """
    rank, count, job, step, own_local = (
        _number(environment, f"SLURM_{name}") for name in ("PROCID", "STEP_NUM_TASKS", "JOB_ID", "STEP_ID", "LOCALID")
    )
    own_node = _variable(environment, "SLURMD_NODENAME")
    nodes, counts = _nodes(environment, count)
    if unknown := [node for node in nodes if not _is_name(node)]:
        raise _slurm_error(f"SLURM_STEP_NODELIST names {shown(unknown[0])}, which is no host")
    if rank >= count:
        raise _slurm_error(f"SLURM_PROCID is {rank}, SLURM_STEP_NUM_TASKS is {count}")
    _check_distribution(environment.get("SLURM_DISTRIBUTION", ""), counts)
    tasks = [(node, local) for node, tasks in zip(nodes, counts, strict=True) for local in range(tasks)]
    if tasks[rank] != (own_node, own_local):
        raise _slurm_error(
            f"by blocks, task {rank} would be number {tasks[rank][1]} on {tasks[rank][0]}, "
            f"and it is number {own_local} on {shown(own_node)}",
            BLOCKS,
        )
    return Place(rank, count, tuple(f"{node}:{_port(job, step, local)}" for node, local in tasks))


def _nodes(environment: Mapping[str, str], count: int) -> tuple[list[str], list[int]]:
    """Return the names of the nodes, and how many of the `count` tasks each has."""
    listed = _variable(environment, "SLURM_STEP_NODELIST")
    per_node = _variable(environment, "SLURM_STEP_TASKS_PER_NODE")
    nodes, counts = _hosts(listed), _tasks_per_node(per_node)
    if len(nodes) != len(counts):
        raise _slurm_error(
            f"SLURM_STEP_NODELIST names {len(nodes)} nodes ({shown(listed)}), "
            f"SLURM_STEP_TASKS_PER_NODE has numbers for {len(counts)} ({shown(per_node)})"
        )
    if sum(counts) != count:
        raise _slurm_error(
            f"SLURM_STEP_NUM_TASKS is {count}, SLURM_STEP_TASKS_PER_NODE adds up to {sum(counts)} ({shown(per_node)})"
        )
    return nodes, counts


def _number(environment: Mapping[str, str], name: str) -> int:
    text = _variable(environment, name)
    if not re.fullmatch("[0-9]{1,10}", text):
        raise _slurm_error(f"{name} is {shown(text)}, which is no number")
    return int(text)


def _variable(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise _slurm_error(f"this is no step of srun: {name} is not set")
    return environment[name]


def _hosts(listed: str) -> list[str]:
    """Return the names in a list of hosts, in its order: "n[08-10,2],login1" are n08, n09, n10, n2, login1.

    The format is that of `scontrol show hostnames` (https://slurm.schedmd.com/scontrol.html#OPT_hostnames). Of several
    brackets in a name the last one runs fastest.
    """
    name = r"(?:[^\[\],]|\[[^\[\]]*+\])++"
    if not re.fullmatch(f"{name}(?:,{name})*+", listed):
        raise _slurm_error(f"SLURM_STEP_NODELIST is {shown(listed)}, which is no list of nodes")
    hosts: list[str] = []
    for one in re.findall(name, listed):
        parts = re.split(r"[\[\]]", one)  # what is in brackets has an odd position
        if len(parts) > LONGEST_NAME:
            raise _slurm_error(f"SLURM_STEP_NODELIST names {shown(one)}, which is no host")
        choices = [_numerals(part, listed) if at % 2 else [part] for at, part in enumerate(parts)]
        if len(hosts) + math.prod(map(len, choices)) > MOST_PROCESSES:
            raise _slurm_error(f"SLURM_STEP_NODELIST is {shown(listed)}, more than {MOST_PROCESSES:,} nodes")
        hosts += map("".join, itertools.product(*choices))
    return hosts


def _numerals(ranges: str, listed: str) -> list[str]:
    """Return what stands for brackets: "08-10,2" are 08, 09, 10, 2."""
    numerals: list[str] = []
    for one in ranges.split(","):
        match = re.fullmatch("([0-9]{1,9})(?:-([0-9]{1,9}))?", one)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise _slurm_error(f"SLURM_STEP_NODELIST is {shown(listed)}, in which {shown(one)} is no range")
        first, last = match[1], match[2] or match[1]
        if len(numerals) + int(last) - int(first) >= MOST_PROCESSES:
            raise _slurm_error(f"SLURM_STEP_NODELIST is {shown(listed)}, more than {MOST_PROCESSES:,} nodes")
        numerals += [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return numerals


def _tasks_per_node(text: str) -> list[int]:
    """Return the number of tasks of each node: "2(x3),1" are 2, 2, 2, 1."""
    counts: list[int] = []
    for one in text.split(","):
        match = re.fullmatch(r"([0-9]{1,9})(?:\(x([0-9]{1,9})\))?", one)
        if match is None:
            raise _slurm_error(
                f"SLURM_STEP_TASKS_PER_NODE is {shown(text)}, in which {shown(one)} is no number of tasks"
            )
        if len(counts) + int(match[2] or 1) > MOST_PROCESSES:
            raise _slurm_error(f"SLURM_STEP_TASKS_PER_NODE is {shown(text)}, more than {MOST_PROCESSES:,} nodes")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _check_distribution(distribution: str, counts: list[int]) -> None:
    """Refuse ranks that go from node to node; what follows ":" or "," is about sockets and cores.

    Where there are as many tasks as nodes, Slurm's default is `cyclic`, which is the same as `block`.
    """
    among_nodes = re.split("[:,=]", distribution)[0]
    same = len(counts) == 1 or (among_nodes == "cyclic" and max(counts) == 1)
    if among_nodes in ("cyclic", "plane", "arbitrary") and not same:
        raise _slurm_error(
            f"SLURM_DISTRIBUTION is {shown(distribution)}, and ranks must go on within a node",
            BLOCKS,
        )


def _port(job: int, step: int, local: int) -> int:
    """Return the port of a task: another for each of 64 tasks of a node, of 281 jobs in a row.

    A further step of a job has the ports of the job 101 numbers later, which seldom runs at the same time.
    """
    return SLURM_PORTS[((job + 101 * step) * PORTS_OF_A_JOB + local) % len(SLURM_PORTS)]


def _slurm_error(what: str, advice: str = "start the workers by `srun kerasrun … --workers slurm`") -> WorkersError:
    return WorkersError(f"--workers slurm: {what}; {advice}")


def free_addresses(count: int) -> tuple[str, ...]:
    """Return addresses of this machine, "127.0.0.1:port", at which nothing listens now; the ports are distinct.

    Another program may take one before it is used.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return tuple(f"{LOOPBACK}:{one.getsockname()[1]}" for one in sockets)
