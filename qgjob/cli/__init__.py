"""The command line: `qgjob`, and `kubectl qgjob`.

It is read by people and by CI jobs that call it many times, so it starts fast: a module here imports only the
standard library and typer at its top; pydantic, rich, PyYAML and the client are imported where they are used.
"""
