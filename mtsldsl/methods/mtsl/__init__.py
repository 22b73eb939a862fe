"""Multi-task structural learning: start from one network per task; layers that have become similar merge.

Gurulingan, Arani, Zonooz: Multi-Task Structural Learning using Local Task Similarity induced Neuron Creation and
Removal, ICML 2023, arXiv 2305.00441.
"""
