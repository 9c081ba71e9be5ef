"""The model and its training: nothing here knows that the learning is federated."""

import torch
from transformers import ViTConfig, ViTForImageClassification


def make_model(learning_rate):
    """A Vision Transformer with random weights: two layers, patches of 2 x 2 pixels, 10 classes.

    With access to a model hub, `ViTForImageClassification.from_pretrained(...)` takes its place.
    """
    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        num_labels=10,
    )
    model = ViTForImageClassification(config)
    model.learning_rate = learning_rate
    return model


def to_batches(images, labels, size):
    """Batches of pixels of shape [size, 1, 8, 8] and labels, in random order."""
    # Umbel seeds PyTorch's global generator from the run's seed, the client and the round.
    for batch in torch.randperm(len(labels)).split(size):
        yield torch.from_numpy(images[batch.numpy(), None]), torch.from_numpy(labels[batch.numpy()])


def train(model, images, labels, epochs):
    """Train the model in place with AdamW; the mean loss of the last epoch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=model.learning_rate)
    model.train()
    for _ in range(epochs):
        losses = []
        for pixels, classes in to_batches(images, labels, 16):
            optimizer.zero_grad()
            loss = model(pixel_values=pixels, labels=classes).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.inference_mode()
def evaluate(model, images, labels):
    """Loss and accuracy."""
    model.eval()
    classes = torch.from_numpy(labels)
    output = model(pixel_values=torch.from_numpy(images[:, None]), labels=classes)
    accuracy = (output.logits.argmax(dim=1) == classes).float().mean()
    return {"loss": output.loss.item(), "accuracy": accuracy.item()}
