"""How a run changes which tasks share which layers: the interface of a learner, what it sees, and the one driver.

The learners themselves are in `methods/`."""
