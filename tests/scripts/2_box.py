"""A box, one mask."""

import sys

import numpy as np
from PIL import Image

from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker

image = Image.open(sys.argv[1]).convert("RGB")
x, y = float(sys.argv[2]), float(sys.argv[3])

predictor = SAM3InteractiveImagePredictor(
    build_tracker(apply_temporal_disambiguation=False)
)
predictor.set_image(image)
box = np.array([x - 22, y - 22, x + 22, y + 22])
masks, scores, _ = predictor.predict(box=box, multimask_output=False)
print(masks.shape, scores)
assert masks.shape == (1, image.height, image.width)
assert masks[0, int(y), int(x)]
