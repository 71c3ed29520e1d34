"""napari without Qt: layers, planes, sessions; all on the viewer's model."""
