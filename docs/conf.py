"""How Sphinx builds this documentation: ``sphinx-build -W docs site``."""

import pendula

project = "Pendula"
author = "the Pendula authors"
version = release = pendula.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"Pendula {release}"

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"          # docstrings state types, shapes and units
napoleon_google_docstring = False
napoleon_use_ivar = True
