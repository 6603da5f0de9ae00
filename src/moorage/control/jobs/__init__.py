"""Work that goes on beside requests: one loop over the rows of other rooms that are due."""
