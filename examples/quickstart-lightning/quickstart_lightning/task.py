"""The model and its training: nothing here knows that the learning is federated."""

import logging
import warnings

import lightning
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # a line per client and round says nothing
warnings.filterwarnings("ignore", module="lightning")


class Digits(lightning.LightningModule):
    """A small network for images of shape [n, 8, 8]."""

    def __init__(self, learning_rate):
        super().__init__()
        self.learning_rate = learning_rate
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.last_loss = 0.0

    def forward(self, images):
        """Logits of shape [n, 10]."""
        return self.layers(images)

    def training_step(self, batch, _):
        """The loss of a batch."""
        images, labels = batch
        loss = cross_entropy(self(images), labels)
        self.last_loss = loss.item()
        return loss

    def configure_optimizers(self):
        """Stochastic gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate)


def make_model(learning_rate):
    """A model with random weights."""
    return Digits(learning_rate)


def train(model, images, labels, epochs):
    """Train the model in place with a Trainer; the loss of the last batch."""
    data = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", **quiet)
    # The order of the batches comes from PyTorch's global generator, which Umbel has seeded.
    trainer.fit(model, DataLoader(data, batch_size=16, shuffle=True))
    return model.last_loss


@torch.inference_mode()
def evaluate(model, images, labels):
    """Loss and accuracy."""
    model.eval()
    logits, classes = model(torch.from_numpy(images)), torch.from_numpy(labels)
    accuracy = (logits.argmax(dim=1) == classes).float().mean()
    return {"loss": cross_entropy(logits, classes).item(), "accuracy": accuracy.item()}
