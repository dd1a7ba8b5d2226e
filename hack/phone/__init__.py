"""A simulated Android phone behind the real adb protocol, and a server of apps made for it.

For the demo and the end-to-end tests: adb, Appium and AppWright are the real programs, the phone is not.
Python's standard library only. Nothing in qgjob depends on this package.
"""
