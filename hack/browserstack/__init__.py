"""A simulated BrowserStack App Automate: its REST API, its WebDriver hub, and a simulated phone for each session."""
