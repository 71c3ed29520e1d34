"""Three images of different sizes, prompted in one go."""

import sys

import numpy as np
from PIL import Image

from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker

image = np.array(Image.open(sys.argv[1]).convert("RGB"))
x, y = float(sys.argv[2]), float(sys.argv[3])

tracker = build_tracker(apply_temporal_disambiguation=False)
predictor = SAM3InteractiveImagePredictor(tracker)
images = [image, image[:, ::-1].copy(), image[:-8, :-16].copy()]
width = image.shape[1]
predictor.set_image_batch(images)
masks, scores, low_res_masks = predictor.predict_batch(
    point_coords_batch=[np.array([[x, y]]), np.array([[width - 1 - x, y]]), None],
    point_labels_batch=[np.array([1]), np.array([1]), None],
    box_batch=[None, None, np.array([x - 22, y - 22, x + 22, y + 22])],
    multimask_output=False,
)
for one, given in zip(masks, images, strict=True):
    print(one.shape, given.shape)
    assert one.shape[1:] == given.shape[:2]
assert masks[0][0, int(y), int(x)]
assert masks[1][0, int(y), width - 1 - int(x)]
assert masks[2][0, int(y), int(x)]
