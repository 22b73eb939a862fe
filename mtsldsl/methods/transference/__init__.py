"""Transference: which tasks help which, measured while they learn together.

Fifty, Amid, Zhao, Yu, Anil, Finn: Measuring and Harnessing Transference in Multi-Task Learning, 2020, arXiv 2010.15413.
"""
