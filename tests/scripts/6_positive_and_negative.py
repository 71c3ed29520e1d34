"""One click on the object, one on the background."""

import sys

import numpy as np
from PIL import Image

from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker

image = np.array(Image.open(sys.argv[1]).convert("RGB"))
x, y = float(sys.argv[2]), float(sys.argv[3])
away_x, away_y = float(sys.argv[4]), float(sys.argv[5])

tracker = build_tracker(apply_temporal_disambiguation=False)
predictor = SAM3InteractiveImagePredictor(tracker)
predictor.set_image(image)
masks, scores, _ = predictor.predict(
    point_coords=np.array([[x, y], [away_x, away_y]]),
    point_labels=np.array([1, 0]),
    multimask_output=True,
)
print(masks.shape, scores)
assert masks[scores.argmax()][int(y), int(x)]
assert not masks[:, int(away_y), int(away_x)].any()
