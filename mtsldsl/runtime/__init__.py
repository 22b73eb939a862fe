"""What computes: data, losses, metrics, the training loop, structural phases, checkpoints. The only room with torch."""
