"""A box with two points."""

import sys

import numpy as np
from PIL import Image

from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker

image = np.array(Image.open(sys.argv[1]).convert("RGB"))
x, y = float(sys.argv[2]), float(sys.argv[3])

tracker = build_tracker(apply_temporal_disambiguation=False)
predictor = SAM3InteractiveImagePredictor(tracker, max_hole_area=64.0)
predictor.set_image(image)
masks, scores, logits = predictor.predict(
    point_coords=np.array([[x, y], [x + 2, y - 1]]),
    point_labels=np.array([1, 1]),
    box=np.array([x - 22, y - 22, x + 22, y + 22]),
    multimask_output=False,
)
print(masks.shape, scores, logits.shape)
assert masks[0, int(y), int(x)]
