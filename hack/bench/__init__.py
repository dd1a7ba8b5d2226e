"""Measurements. Each says what it compares with, in the same run: machines differ more than programs do."""
