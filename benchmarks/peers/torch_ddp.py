"""PyTorch's DistributedDataParallel by gloo on the CPU: the networks of `torch_eager`, several processes a batch.

They share out the cores. Each takes the rows of its rank of a permutation that all draw; what is logged is of rank 0.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch
from torch import distributed, multiprocessing, nn

from benchmarks import _turn
from benchmarks._mnist import read_mnist
from benchmarks.peers._arguments import parser_of_sharing
from benchmarks.peers.torch_eager import NETWORKS, optimizer_for


def train(rank: int, given: argparse.Namespace, meeting: str) -> None:
    """Train as one of the processes, which find each other by a file."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // given.workers))
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=given.workers)
    torch.manual_seed(1)
    images, labels = read_mnist(given.data, "train")
    x = torch.tensor(images[:, None], dtype=torch.float32) / 255
    y = torch.tensor(labels, dtype=torch.int64)
    model = nn.parallel.DistributedDataParallel(NETWORKS[given.network]())
    optimizer, loss_function = optimizer_for(given.network, model), nn.CrossEntropyLoss()
    for _ in range(given.epochs):
        begin = time.perf_counter()
        loss_sum = torch.zeros(())
        for indices in torch.randperm(len(x)).split(given.batch_size):
            own = indices.tensor_split(given.workers)[rank]
            optimizer.zero_grad()
            loss = loss_function(model(x[own]), y[own])
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(own)
        if rank == 0:
            seconds = time.perf_counter() - begin
            _turn.report(seconds=seconds, images=len(x), loss=loss_sum.item() * given.workers / len(x))
    distributed.destroy_process_group()


if __name__ == "__main__":
    given = parser_of_sharing(__doc__).parse_args()
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(train, (given, str(Path(folder, "meeting"))), nprocs=given.workers)
