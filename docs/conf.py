from importlib.metadata import version as version_of

project = "napari-sam3"
author = "napari-sam3 developers"
copyright = f"2026, {author}"
release = version_of("napari-sam3")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings tell, with shapes
numpydoc_show_class_members = False
# The same checks as [tool.numpydoc_validation], for what the pages show.
numpydoc_validation_checks = {"PR02", "PR03", "PR04", "PR10", "RT03", "SS03"}
numpydoc_validation_exclude = {r"\.__init__$"}

html_theme = "furo"
html_title = "napari-sam3"
html_theme_options = {
    "source_repository": "https://github.com/napari-sam3/napari-sam3",
    "source_branch": "main",
    "source_directory": "docs/",
}
