"""Getting hold of a batch's device, and noticing when it is lost."""
