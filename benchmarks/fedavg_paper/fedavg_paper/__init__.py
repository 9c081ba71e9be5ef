"""The MNIST 2NN experiment of McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data"."""
