"""Building the project's images with whatever engine a machine has. The standard library only."""
