"""MultiMNIST: two handwritten digits in one picture."""
