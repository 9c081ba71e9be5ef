"""The model and its training: nothing here knows that the learning is federated."""

import jax
import jax.numpy as jnp
import numpy as np


def initial_parameters(seed):
    """The parameters of a network with one hidden layer, as a dictionary of arrays (a pytree)."""
    first, second = jax.random.split(jax.random.key(seed))
    return {
        "hidden": {"w": jax.random.normal(first, (64, 64)) / 8, "b": jnp.zeros(64)},
        "output": {"w": jax.random.normal(second, (64, 10)) / 8, "b": jnp.zeros(10)},
    }


def predict(parameters, images):
    """Logits of shape [n, 10] for images of shape [n, 8, 8]."""
    x = images.reshape(len(images), -1)
    x = jax.nn.relu(x @ parameters["hidden"]["w"] + parameters["hidden"]["b"])
    return x @ parameters["output"]["w"] + parameters["output"]["b"]


def loss_of(parameters, images, labels):
    """The mean cross-entropy."""
    return -jnp.mean(jax.nn.log_softmax(predict(parameters, images))[jnp.arange(len(labels)), labels])


@jax.jit
def step(parameters, images, labels, learning_rate):
    """One step of gradient descent: the new parameters and the loss before it."""
    loss, gradients = jax.value_and_grad(loss_of)(parameters, images, labels)
    return jax.tree.map(lambda p, g: p - learning_rate * g, parameters, gradients), loss


def train(parameters, images, labels, epochs, learning_rate, batch_size=16):
    """Train for some epochs; returns the new parameters and the mean loss of the last epoch."""
    for _ in range(epochs):
        # Umbel seeds NumPy's global generator from the run's seed, the client and the round.
        order, losses = np.random.permutation(len(labels)), []
        # Batches of one size, so that JAX compiles the step once; the rest of an epoch is left out.
        size = min(batch_size, len(labels))
        for start in range(0, len(labels) - size + 1, size):
            batch = order[start : start + size]
            parameters, loss = step(parameters, images[batch], labels[batch], learning_rate)
            losses.append(float(loss))
    return parameters, float(np.mean(losses))


def evaluate(parameters, images, labels):
    """Loss and accuracy."""
    right = jnp.argmax(predict(parameters, images), axis=1) == labels
    return {"loss": float(loss_of(parameters, images, labels)), "accuracy": float(jnp.mean(right))}


def to_arrays(parameters):
    """The leaves of the parameters in their fixed order, as NumPy arrays."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(parameters)]


def from_arrays(arrays):
    """The parameters with these leaves."""
    return jax.tree.unflatten(jax.tree.structure(initial_parameters(0)), [jnp.asarray(array) for array in arrays])
