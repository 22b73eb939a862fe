"""Making a network better at its tasks: the step, the balance of the tasks, the guard over them, and evaluation."""
