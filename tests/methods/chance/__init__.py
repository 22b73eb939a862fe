"""A toy: sharing by chance. Not part of the package; a test puts it there, as CONTRIBUTING.md says."""
