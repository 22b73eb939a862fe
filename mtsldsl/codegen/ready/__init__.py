"""The templates of generated code as modules, which jinja2 made of them: one for each, written by `make tables`."""
