"""Branched multi-task networks: from one network per task the tree that they share is chosen once, under a budget.

Vandenhende, Georgoulis, De Brabandere, Van Gool: Branched Multi-Task Networks: Deciding What Layers To Share, BMVC
2020, arXiv 1904.02920.
"""
