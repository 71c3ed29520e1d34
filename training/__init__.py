"""Scripts that train the nano network; run as ``python -m training.NAME``."""
