"""Multi-task structural learning: start from one network per task; layers that have become similar merge."""
