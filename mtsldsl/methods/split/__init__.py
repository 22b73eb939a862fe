"""Splitting: what is shared at the start is taken apart where tasks' gradients conflict for long."""
