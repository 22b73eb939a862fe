"""Splitting: what is shared at the start is taken apart where tasks' gradients conflict for long.

After Lu, Kumar, Zhai, Cheng, Javidi, Feris: Fully-adaptive Feature Sharing in Multi-Task Networks with Applications in
Person Attribute Classification, CVPR 2017, arXiv 1611.05377.
"""
