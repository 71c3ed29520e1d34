"""The first prediction's best logits go into the second, with one more point."""

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
    point_coords=np.array([[x, y]]), point_labels=np.array([1])
)
best = int(np.argmax(scores))
masks, scores, low_res_masks = predictor.predict(
    point_coords=np.array([[x, y], [x + 2, y - 1]]),
    point_labels=np.array([1, 1]),
    mask_input=low_res_masks[best : best + 1],
    multimask_output=False,
)
print(masks.shape, scores, np.abs(low_res_masks).max())
assert masks[0, int(y), int(x)]
assert np.abs(low_res_masks).max() <= 32
