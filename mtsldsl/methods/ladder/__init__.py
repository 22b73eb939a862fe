"""A ladder of budgets: which shape of sharing is best at each size, by training those that fit side by side."""
