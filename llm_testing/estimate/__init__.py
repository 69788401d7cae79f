"""How much memory a training step takes, found by tracing that very step on tensors without data."""
