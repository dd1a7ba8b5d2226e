"""One module for each command; `qgjob.cli.main` imports the one that is used."""
