"""Parameter allocation: what it computes, what it decides, what a run keeps of it."""
