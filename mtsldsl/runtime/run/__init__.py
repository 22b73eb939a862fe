"""One run: its folder, its events and checkpoints, what a person sees of it."""
