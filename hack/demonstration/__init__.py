"""`make demo`: what it submits, what it expects, and how it shows it."""
