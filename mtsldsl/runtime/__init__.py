"""What computes: data, losses, metrics, the training loop, structural phases, checkpoints. With torch, as
`methods/*/learner.py` and what is beside it, and `datasets/*/load.py`, are; nothing else imports it."""
