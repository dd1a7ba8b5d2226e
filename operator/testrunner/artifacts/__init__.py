"""What an attempt leaves behind (reports, screenshots, videos, logs), and the stores that keep it."""
