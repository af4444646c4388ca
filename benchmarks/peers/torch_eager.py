"""PyTorch on the CPU, eager: the same networks, batches and optimizers; MNIST in memory, cut by a permutation.

No DataLoader, which would hand over image by image, and no `.item()` in a step: sums of loss and accuracy are tensors.
"""

import time

import torch
from torch import nn

from benchmarks import _turn
from benchmarks._mnist import read_mnist
from benchmarks.peers._arguments import arguments


def lenet() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def mlp() -> nn.Module:
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)),
    )


NETWORKS = {"lenet": lenet, "mlp": mlp}


def optimizer_for(network: str, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of benchmarks/experiments/."""
    if network == "lenet":
        return torch.optim.SGD(model.parameters(), lr=0.01)
    return torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)


if __name__ == "__main__":
    given = arguments(__doc__)
    torch.manual_seed(1)
    images, labels = read_mnist(given.data, "train")
    x = torch.tensor(images[:, None], dtype=torch.float32) / 255
    y = torch.tensor(labels, dtype=torch.int64)
    model = NETWORKS[given.network]()
    optimizer = optimizer_for(given.network, model)
    loss_function = nn.CrossEntropyLoss()
    for _ in range(given.epochs):
        _turn.wait()
        begin = time.perf_counter()
        loss_sum, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for indices in torch.randperm(len(x)).split(given.batch_size):
            inputs, targets = x[indices], y[indices]
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = loss_function(outputs, targets)
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(indices)
            right += (outputs.detach().argmax(1) == targets).sum()
        logs = {"loss": loss_sum.item() / len(x), "accuracy": right.item() / len(x)}
        _turn.report(seconds=time.perf_counter() - begin, images=len(x), **logs)
