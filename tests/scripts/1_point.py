"""One point, three masks."""

import sys

import numpy as np
from PIL import Image

from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker

image = np.array(Image.open(sys.argv[1]).convert("RGB"))
x, y = float(sys.argv[2]), float(sys.argv[3])

tracker = build_tracker(apply_temporal_disambiguation=False)
predictor = SAM3InteractiveImagePredictor(tracker)
predictor.set_image(image)
masks, scores, low_res_masks = predictor.predict(
    point_coords=np.array([[x, y]]),
    point_labels=np.array([1]),
    multimask_output=True,
)
best = masks[scores.argmax()]
print(masks.shape, scores.shape, low_res_masks.shape)
print(f"best score {scores.max():.2f}, {int(best.sum())} pixels")
assert best[int(y), int(x)]
