"""What driver `appwright` is made of: the kit, the app's identity, Appium, the project's configuration, events."""
