"""A toy: one period of a wave in each sample, a row of numbers. A test puts it into the package, as CONTRIBUTING.md says."""
