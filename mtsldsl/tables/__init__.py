"""Tables in files, without torch: their cells, the rows of each split, and columns as inputs and targets."""
