"""Where test files come from: a file for each kind of source, and `store`, which prepares each one once."""
