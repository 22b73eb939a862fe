"""Fashion-MNIST: garments."""
