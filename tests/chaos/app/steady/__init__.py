"""An app for chaos: what it computes depends on every round of every client, once each."""
