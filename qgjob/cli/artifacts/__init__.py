"""Reading what attempts left behind: from a bucket or a volume, with the rights of whoever asks."""
