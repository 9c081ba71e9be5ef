"""The model and its training: nothing here knows that the learning is federated."""

import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras


def make_model(learning_rate):
    """A small convolutional network for images of shape [8, 8, 1], compiled for training."""
    # Keras initialises weights and shuffles data with its own generators. Umbel seeds Python's from the run's
    # seed, the client and the round; deriving the one from the other makes a run repeatable.
    keras.utils.set_random_seed(random.getrandbits(31))
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(learning_rate, momentum=0.9), loss, metrics=["accuracy"])
    return model


def train(model, images, labels, epochs):
    """Train the model in place; the mean loss of the last epoch."""
    history = model.fit(images[..., None], labels, batch_size=16, epochs=epochs, verbose=0)
    return float(history.history["loss"][-1])


def evaluate(model, images, labels):
    """Loss and accuracy."""
    loss, accuracy = model.evaluate(images[..., None], labels, batch_size=256, verbose=0)
    return {"loss": float(loss), "accuracy": float(accuracy)}
