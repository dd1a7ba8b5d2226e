"""Fetching and storing with the target's credentials, out of the tests' reach.

A pod whose target names Secrets for files has a second container, `courier`, which alone has them. The runner asks it
over a socket (testrunner.courier.remote); where there is none, it does the same work itself (testrunner.courier.local).
"""
