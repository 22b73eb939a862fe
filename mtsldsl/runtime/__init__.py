"""What computes: data, losses and metrics, the training loop, structural phases, checkpoints. The only room with torch."""
