"""The models there are: data only, no torch."""

from __future__ import annotations

from pathlib import Path

from napari_sam3.core.errors import ModelError
from napari_sam3.models.spec import Cost, ModelSpec, WeightsFile

__all__ = ["CATALOG", "DEFAULT_MODEL", "Cost", "ModelSpec", "WeightsFile", "find_model"]

DEFAULT_MODEL = "nano"

_NANO_FOLDER = Path(__file__).parent / "nano"
_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
_SAM_LICENCE = "https://github.com/facebookresearch/sam3/blob/main/LICENSE"
_OWN_LICENCE = "https://github.com/napari-sam3/napari-sam3/blob/main/LICENSE"


def _sam3(
    id: str,
    files: tuple[WeightsFile, ...],
    summary: str,
    alternatives: tuple[WeightsFile, ...] = (),
) -> ModelSpec:
    return ModelSpec(
        id=id,
        family="sam3",
        source=f"huggingface.co/facebook/{id}",
        licence="SAM License",
        summary=summary,
        licence_url=_SAM_LICENCE,
        page_url=f"https://huggingface.co/facebook/{id}",
        repo=f"facebook/{id}",
        files=files,
        alternatives=alternatives,
        gated=True,
        input_size=1008,
        low_res_size=288,
        embedding_shape=(256, 72, 72),
        parameters=457_400_000,
        cost=Cost(5.61e12, 4.6e9, 0.80, 0.44, 550_000_000),
    )


def _family(
    id: str,
    repo: str,
    weights: WeightsFile,
    parameters: int,
    cost: Cost,
    summary: str,
) -> ModelSpec:
    """Return a SAM 2.1 or SAM 1, which need transformers."""
    return ModelSpec(
        id=id,
        family="sam2" if id.startswith("sam2") else "sam1",
        source=f"huggingface.co/{repo}",
        licence="Apache-2.0",
        summary=summary,
        licence_url=_APACHE,
        page_url=f"https://huggingface.co/{repo}",
        repo=repo,
        files=(weights,),
        extra="families",
        input_size=1024,
        low_res_size=256,
        embedding_shape=(256, 64, 64),
        parameters=parameters,
        cost=cost,
    )


# Sizes and hashes are those that several projects, independent of each other,
# have recorded of the published files; where there were fewer, they are left out.
_SPECS = (
    ModelSpec(
        id="nano",
        family="nano",
        source="ships with napari-sam3",
        licence="BSD-3-Clause",
        licence_url=_OWN_LICENCE,
        path=_NANO_FOLDER / "nano.safetensors",
        summary="small network for microscopy, trained by this project; no download",
        input_size=128,
        low_res_size=256,
        embedding_shape=(256, 64, 64),
        parameters=4_712_886,
        cost=Cost(3.9e9, 4.9e9, 0.35, 0.35, 200_000_000, is_float32=True),
    ),
    # safetensors instead of Meta's own sam3.pt: it cannot hold code, is read tensor
    # by tensor, and whoever uses transformers has it already.
    _sam3(
        "sam3",
        (
            WeightsFile(
                "model.safetensors",
                3_439_938_512,
                "6d06f0a5f84e435071fe6603e61d0b4cc7b40e0d39d487cfd4d67d8cc11cc14a",
            ),
        ),
        "Meta's SAM 3; takes clicks and boxes on any image; wants a graphics card",
        (
            WeightsFile(
                "sam3.pt",
                3_450_062_241,
                "9999e2341ceef5e136daa386eecb55cb414446a00ac2b55eb2dfd2f7c3cf8c9e",
            ),
        ),
    ),
    _sam3(
        "sam3.1",
        (
            WeightsFile(
                "sam3.1_multiplex.pt",
                3_502_755_717,
                "0567debeec80ba4ac6369540c6c248025283cb3ff2b92827509e57e2b3541cb6",
            ),
        ),
        "SAM 3, trained further by Meta; as large and as slow",
    ),
    _family(
        "sam2.1-tiny",
        "facebook/sam2.1-hiera-tiny",
        WeightsFile(
            "model.safetensors",
            155_908_064,
            "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7",
        ),
        31_440_721,
        Cost(2.91e11, 3.64e9, 0.61, 0.28, 490_000_000),
        "SAM 2.1, smallest: seconds per image without a graphics card",
    ),
    _family(
        "sam2.1-small",
        "facebook/sam2.1-hiera-small",
        WeightsFile(
            "model.safetensors",
            184_305_280,
            "0a4067b11ce1e23d5229203f11c718a823060d15a4b23fa2372a7d4b77cbbc60",
        ),
        38_538_577,
        Cost(3.59e11, 3.64e9, 0.60, 0.28),
        "SAM 2.1, small",
    ),
    _family(
        "sam2.1-base-plus",
        "facebook/sam2.1-hiera-base-plus",
        WeightsFile(
            "model.safetensors",
            323_476_296,
            "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780",
        ),
        73_328_401,
        Cost(6.46e11, 3.64e9, 0.68, 0.29),
        "SAM 2.1, middle",
    ),
    _family(
        "sam2.1-large",
        "facebook/sam2.1-hiera-large",
        WeightsFile(
            "model.safetensors",
            897_897_416,
            "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230",
        ),
        216_924_865,
        Cost(1.82e12, 3.64e9, 0.73, 0.28),
        "SAM 2.1, largest",
    ),
    _family(
        "sam-vit-base",
        "facebook/sam-vit-base",
        WeightsFile(
            "model.safetensors",
            374_979_480,
            "892c410e496344e527255ccdcb2cb7244a609acb5389c7c4fdba1288f861c579",
        ),
        93_735_728,
        Cost(9.72e11, 3.62e9, 0.59, 0.32, 1_800_000_000),
        "SAM 1, smallest",
    ),
    _family(
        "sam-vit-large",
        "facebook/sam-vit-large",
        WeightsFile("model.safetensors"),
        312_343_088,
        Cost(2.99e12, 3.62e9, 0.59, 0.32),
        "SAM 1, middle",
    ),
    _family(
        "sam-vit-huge",
        "facebook/sam-vit-huge",
        WeightsFile("model.safetensors"),
        641_090_864,
        Cost(5.96e12, 3.62e9, 0.59, 0.32),
        "SAM 1, largest",
    ),
)

CATALOG: dict[str, ModelSpec] = {spec.id: spec for spec in _SPECS}


def find_model(model: str) -> ModelSpec:
    """Look up a model's id.

    Parameters
    ----------
    model : str
        Such as ``"nano"``.

    Returns
    -------
    ModelSpec
        Its entry in the catalog.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    spec = CATALOG.get(model)
    if spec is None:
        raise ModelError(
            f"There is no model {model!r}; choose one of {', '.join(CATALOG)}, "
            "or give the path of a weights file."
        )
    return spec
