"""Devices of BrowserStack App Automate: the app is uploaded once, sessions are waited for, and none is left open."""
