"""The predictor with the API of SAM 3's interactive image predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam3.core.errors import ModelError, PromptError, StateError
from napari_sam3.core.finish import Finish
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.prediction import Embedding
from napari_sam3.core.recall import Recall
from napari_sam3.core.tracker import Tracker, WindowTracker
from napari_sam3.xy_prompts import parse_prompts

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["SAM3InteractiveImagePredictor"]

Result = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]


class SAM3InteractiveImagePredictor:
    """Masks from clicks, boxes and earlier masks.

    Set an image, then ask as often as you like. Not safe to share between
    threads; trackers and embeddings are.

    Parameters
    ----------
    sam_model : Tracker
        What `build_tracker` returns.
    mask_threshold : float
        Logits above it become mask; between -32 and 32.
    max_hole_area : float
        Holes (4-connected background inside the mask) of up to this many pixels
        of the returned masks are filled; 0 turns it off.
    max_sprinkle_area : float
        Foreground regions (8-connected) of up to this many pixels are removed;
        0 turns it off.

    Raises
    ------
    ModelError
        If ``sam_model`` is no tracker, or a number is not usable.

    Notes
    -----
    Areas are pixels of the image. SAM 3's own code measures them on its 288 x 288
    grid before enlarging, where the default fills holes of 12,900 pixels in an
    image of 2048 x 2048. A background click always keeps its pixel outside.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker
    >>> image = np.zeros((64, 64, 3), np.uint8)
    >>> image[20:40, 24:44] = 200
    >>> predictor = SAM3InteractiveImagePredictor(build_tracker())
    >>> predictor.set_image(image)
    >>> masks, scores, low_res = predictor.predict(
    ...     point_coords=np.array([[34, 30]]), point_labels=np.array([1])
    ... )
    >>> masks.shape, scores.shape, low_res.shape
    ((3, 64, 64), (3,), (3, 256, 256))
    """

    def __init__(
        self,
        sam_model: Tracker,
        mask_threshold: float = 0.0,
        max_hole_area: float = 256.0,
        max_sprinkle_area: float = 0.0,
    ) -> None:
        if not isinstance(sam_model, Tracker):
            raise ModelError(
                f"{type(sam_model).__name__} is no tracker; pass what "
                "napari_sam3.build_tracker() returns."
            )
        self.model = sam_model
        self.finish = Finish(mask_threshold, max_hole_area, max_sprinkle_area)
        self._embeddings: list[Embedding] = []
        self._recalls: list[Recall] = []
        self._is_batch = False

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        device: torch.device = self.model.device
        return device

    @property
    def mask_threshold(self) -> float:
        """Logits above it become mask; may be set."""
        return self.finish.mask_threshold

    @mask_threshold.setter
    def mask_threshold(self, threshold: float) -> None:
        self.finish = replace(self.finish, mask_threshold=threshold)

    def set_image(self, image: NDArray[np.uint8] | Image.Image) -> None:
        """Compute and keep the embedding of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (H, W) and dtype uint8, or PIL image
            RGB or grey, 0 to 255. It is copied.

        Raises
        ------
        ImageError
            For other shapes and dtypes; convert them with `napari_sam3.to_rgb`.
        """
        self._set([image], batch=False)

    def set_image_batch(
        self, image_list: Sequence[NDArray[np.uint8] | Image.Image]
    ) -> None:
        """Compute and keep the embeddings of several images.

        Parameters
        ----------
        image_list : sequence of ndarray of shape (H, W, 3) and dtype uint8
            Sizes may differ.

        Raises
        ------
        ImageError
            As for `set_image`.
        PromptError
            If the list is empty or not a list.
        """
        if not isinstance(image_list, (list, tuple)) or not image_list:
            raise PromptError(
                "image_list must be a list of images, at least one; "
                "for a single image call set_image."
            )
        self._set(image_list, batch=True)

    def _set(self, images: Sequence[Any], *, batch: bool) -> None:
        # First the new ones: a refused image leaves the old ones in place.
        self._embeddings = self.model.embed(images)
        self._recalls = [Recall() for _ in self._embeddings]
        self._is_batch = batch

    def reset_predictor(self) -> None:
        """Forget the images."""
        self._embeddings = []
        self._recalls = []
        self._is_batch = False

    def get_image_embedding(self) -> torch.Tensor:
        """Return the embedding of the image.

        Returns
        -------
        torch.Tensor of shape (1, C, h, w) and dtype float32
            (1, 256, 64, 64) for nano; (B, 256, 64, 64) after `set_image_batch`.

        Raises
        ------
        StateError
            If no image is set.
        """
        self._require_image()
        import torch

        features = [self.model.image_embedding(one) for one in self._embeddings]
        return torch.cat(features)

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
        *,
        size_hint: SizeHint | None = None,
    ) -> Result:
        """Segment one object, or B objects at once, in the image that is set.

        Parameters
        ----------
        point_coords : array_like of shape (N, 2) or (B, N, 2), optional
            (x, y) in pixels; whole numbers are pixel centres.
        point_labels : array_like of shape (N,) or (B, N), optional
            1 object, 0 background; -1 marks padding.
        box : array_like of shape (4,) or (B, 4), optional
            ``[x0, y0, x1, y1]`` in pixels; may be combined with points.
        mask_input : array_like of shape (1, L, L) or (B, 1, L, L), optional
            ``low_res_masks`` of an earlier call (L is 256 for nano). Those of the
            latest calls for this image stand for their masks at full resolution,
            where the model looks through windows (nano).
        multimask_output : bool
            Three masks for an ambiguous prompt, or one. ``iou_predictions`` says which
            of several is the best; nano gives it first, SAM in any order.
        return_logits : bool
            Float logits at image size instead of masks.
        normalize_coords : bool
            False: coordinates are shares of the image's size, 0 to 1.
        size_hint : SizeHint, optional
            What is known of the size of the objects, in pixels of the image. For
            models that look for them at several scales, such as nano; not in SAM 3.

        Returns
        -------
        masks : ndarray of shape (C, H, W) or (B, C, H, W) and dtype bool
            C is 3 or 1; for a single object there is no axis B, also if the
            prompt had one, as in SAM 3. float32 with ``return_logits``.
        iou_predictions : ndarray of shape (C,) or (B, C) and dtype float32
            Predicted quality of each mask, 0 to 1.
        low_res_masks : ndarray of shape (C, L, L) or (B, C, L, L), float32
            Logits over the whole image, -32 to 32, before cleaning.

        Raises
        ------
        StateError
            If no image is set, or images were set by `set_image_batch`.
        PromptError
            If the prompt is empty, outside the image, or of a wrong shape.
        """
        self._require_image()
        if self._is_batch:
            raise StateError(
                "The images were set with set_image_batch; call predict_batch, "
                "or set_image for a single image."
            )
        return self._predict(
            0,
            (point_coords, point_labels, box, mask_input),
            multimask_output,
            return_logits,
            normalize_coords,
            size_hint,
        )

    def predict_batch(
        self,
        point_coords_batch: Sequence[ArrayLike | None] | None = None,
        point_labels_batch: Sequence[ArrayLike | None] | None = None,
        box_batch: Sequence[ArrayLike | None] | None = None,
        mask_input_batch: Sequence[ArrayLike | None] | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
        *,
        size_hint: SizeHint | Sequence[SizeHint | None] | None = None,
    ) -> tuple[
        list[NDArray[Any]], list[NDArray[np.float32]], list[NDArray[np.float32]]
    ]:
        """Segment objects in each image that `set_image_batch` was given.

        Parameters
        ----------
        point_coords_batch, point_labels_batch, box_batch, mask_input_batch : sequence
            One entry per image, as for `predict`; an entry may be None.
        multimask_output, return_logits, normalize_coords : bool
            As for `predict`.
        size_hint : SizeHint or sequence of SizeHint or None, optional
            One for all images, or one entry per image; as for `predict`.

        Returns
        -------
        masks, iou_predictions, low_res_masks : list of ndarray
            One entry per image, as `predict` returns them.

        Raises
        ------
        StateError
            If the image was set by `set_image`, or none is set.
        PromptError
            If a list has another length than the images, or as for `predict`.
        """
        self._require_image()
        if not self._is_batch:
            raise StateError(
                "The image was set with set_image; call predict, or set_image_batch "
                "for several images."
            )
        count = len(self._embeddings)
        is_shared = isinstance(size_hint, SizeHint)
        hints: Any = [size_hint] * count if is_shared else size_hint
        columns: list[Any] = []
        for name, entries in (
            ("point_coords_batch", point_coords_batch),
            ("point_labels_batch", point_labels_batch),
            ("box_batch", box_batch),
            ("mask_input_batch", mask_input_batch),
            ("size_hint", hints),
        ):
            if entries is not None and (
                not isinstance(entries, list | tuple | np.ndarray)
                or len(entries) != count
            ):
                raise PromptError(
                    f"{name} must be a list with one entry for each of the {count} "
                    "images, None where there is nothing."
                )
            columns.append(entries if entries is not None else [None] * count)
        results = []
        for index, (*prompt, hint) in enumerate(zip(*columns, strict=True)):
            try:
                result = self._predict(
                    index,
                    prompt,
                    multimask_output,
                    return_logits,
                    normalize_coords,
                    hint,
                )
            except PromptError as error:
                raise PromptError(f"Image {index} of the batch: {error}") from error
            results.append(result)
        masks, scores, low_res = zip(*results, strict=True)
        return list(masks), list(scores), list(low_res)

    def _require_image(self) -> None:
        if not self._embeddings:
            raise StateError("No image is set; call set_image(image) first.")

    def _predict(
        self,
        index: int,
        arguments: Sequence[ArrayLike | None],
        multimask: bool,
        return_logits: bool,
        normalize_coords: bool,
        size_hint: SizeHint | None,
    ) -> Result:
        points, labels, box, mask_input = arguments
        embedding, recall = self._embeddings[index], self._recalls[index]
        shape = embedding.image_shape
        prompts = parse_prompts(
            points,
            labels,
            box,
            mask_input,
            shape=shape,
            low_res_size=self.model.low_res_size,
            normalize_coords=normalize_coords,
            size_hint=size_hint,
        )
        # SAM sees earlier masks as its 256 x 256 logits and nothing else.
        is_windowed = isinstance(self.model, WindowTracker)
        if is_windowed:
            prompts = [recall.restore(prompt) for prompt in prompts]
        answers = self.model.predict(embedding, prompts, multimask=multimask)
        if is_windowed:
            recall.note(mask for row in answers for mask in row)
        masks = self.finish.assemble(prompts, answers, shape, as_logits=return_logits)
        scores = np.array([[mask.score for mask in row] for row in answers], np.float32)
        low_res = np.stack([[mask.low_res for mask in row] for row in answers])
        if len(prompts) == 1:
            return masks[0], scores[0], low_res[0]
        return masks, scores, low_res
