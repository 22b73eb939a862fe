"""A toy: sharing by rote. Not part of the package; a test puts it there, as CONTRIBUTING.md says."""
