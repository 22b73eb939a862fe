"""Kinds of data sets, a folder for each."""
