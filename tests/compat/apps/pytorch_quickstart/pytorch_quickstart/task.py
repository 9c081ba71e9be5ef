"""pytorch_quickstart: a Flower / PyTorch app."""

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    """A network with one hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.fc2 = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Do forward."""
        return self.fc2(F.relu(self.fc1(x)))


def load_data(partition_id: int):
    """The data of one partition."""
    generator = torch.Generator().manual_seed(partition_id)
    x = torch.randn(40 + 8 * partition_id, 4, generator=generator)
    return x, (x.sum(dim=1) > 0).long()


def load_centralized_dataset():
    """The data of the server."""
    return load_data(7)


def train(net: Net, data, epochs: int, lr: float) -> float:
    """Train the model, eight examples at a time."""
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    net.train()
    total = 0.0
    for _ in range(epochs):
        for x, y in zip(data[0].split(8), data[1].split(8), strict=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return total / epochs


def test(net: Net, data) -> tuple[float, float]:
    """Loss and accuracy."""
    net.eval()
    with torch.no_grad():
        outputs = net(data[0])
        accuracy = (outputs.argmax(dim=1) == data[1]).float().mean().item()
        return F.cross_entropy(outputs, data[1]).item(), accuracy
