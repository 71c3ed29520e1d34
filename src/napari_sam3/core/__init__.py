"""Values and algorithms: numpy and scikit-image, no torch, no napari."""
