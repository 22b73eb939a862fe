"""Learning to branch: what every copy of a layer reads is sampled, and learned with the weights."""
