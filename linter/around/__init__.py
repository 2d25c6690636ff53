"""Files around the code: what they are, and what stands in them, as items that rules look at."""
