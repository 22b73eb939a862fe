"""NYUv2 (Silberman et al., 2012): indoor images with labels and depth."""
