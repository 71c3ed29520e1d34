"""Prompts are drawn where they are, on cells of 4 x 4 pixels."""

from __future__ import annotations

import pytest
import torch

from napari_sam3.models.nano.prompts import MAP_CHANNELS, PromptTensors, prompt_maps

SIZE = (32, 48)
NARROW, WIDE, NEGATIVE_NARROW, NEGATIVE_WIDE, BOX, BOX_FLAG = range(6)
MASK, MASK_FLAG = slice(6, 10), 10


def prompts(
    points: list[tuple[float, float]] = (),
    labels: list[int] = (),
    box: tuple[float, ...] | None = None,
    mask: torch.Tensor | None = None,
) -> PromptTensors:
    """Describe one object in a window of 32 x 48 pixels."""
    earlier = torch.zeros(1, 1, SIZE[0] // 2, SIZE[1] // 2)
    return PromptTensors(
        torch.tensor([list(points) or [(0.0, 0.0)]]),
        torch.tensor([list(labels) or [-1.0]]),
        torch.tensor([box if box is not None else (float("nan"),) * 4]),
        earlier if mask is None else mask[None, None],
        torch.tensor([float(mask is not None)]),
    )


def draw(*args, **kwargs) -> torch.Tensor:
    (maps,) = prompt_maps(prompts(*args, **kwargs), SIZE)
    assert maps.shape == (MAP_CHANNELS, 8, 12)
    return maps


def test_nothing_is_drawn_of_no_prompt():
    assert not draw().any()


@pytest.mark.parametrize(
    ("point", "cell"),
    [((0.5, 0.5), (0, 0)), ((6.0, 22.0), (1, 5)), ((31.5, 47.5), (7, 11))],
)
def test_a_click_is_brightest_in_its_cell(point, cell):
    for label, channels in ((1.0, (NARROW, WIDE)), (0.0, (2, 3))):
        maps = draw([point], [label])
        for channel in channels:
            brightest = int(maps[channel].argmax())
            assert divmod(brightest, 12) == cell
        assert [bool(m.any()) for m in maps[:4]] == [
            channel in channels for channel in range(4)
        ]


def test_a_click_in_the_middle_of_a_cell_is_one_there():
    maps = draw([(6.0, 22.0)], [1.0])
    assert maps[NARROW, 1, 5] == 1
    assert maps[WIDE, 1, 5] == 1
    # The next cell is two, or half, standard deviations away.
    assert maps[NARROW, 1, 6] == pytest.approx(torch.exp(torch.tensor(-2.0)).item())
    assert maps[WIDE, 2, 5] == pytest.approx(torch.exp(torch.tensor(-0.125)).item())


def test_several_clicks_do_not_add_up():
    maps = draw([(6.0, 22.0), (6.0, 22.0), (22.0, 6.0)], [1.0, 1.0, 1.0])
    assert maps[NARROW].max() == 1
    assert maps[NARROW, 1, 5] == maps[NARROW, 5, 1] == 1


def test_padding_is_no_click():
    one = draw([(6.0, 22.0)], [1.0])
    padded = draw([(6.0, 22.0), (20.0, 20.0)], [1.0, -1.0])
    assert torch.equal(one, padded)


def test_a_box_fills_its_cells_and_raises_its_flag():
    maps = draw(box=(4.0, 8.0, 12.0, 20.0))
    expected = torch.zeros(8, 12)
    expected[1:3, 2:5] = 1
    assert torch.equal(maps[BOX], expected)
    assert (maps[BOX_FLAG] == 1).all()
    assert not maps[:4].any()


def test_cells_are_filled_by_the_share_that_the_box_covers():
    maps = draw(box=(6.0, 8.0, 12.0, 11.0))
    assert maps[BOX, 1, 2] == pytest.approx(0.5 * 0.75)
    assert maps[BOX, 2, 2] == pytest.approx(0.75)
    assert maps[BOX].sum() * 16 == pytest.approx(6 * 3)


def test_a_box_beyond_the_window_fills_all_of_it():
    assert (draw(box=(-9.0, -9.0, 99.0, 99.0))[BOX] == 1).all()


def test_an_earlier_mask_is_folded_into_four_channels():
    mask = torch.full((16, 24), -32.0)
    mask[2, 4] = 32
    maps = draw(mask=mask)
    assert (maps[MASK_FLAG] == 1).all()
    assert maps[MASK, 1, 2].tolist() == pytest.approx([1, -1, -1, -1])
    assert torch.allclose(maps[MASK].sum(), torch.tensor(2.0 - maps[MASK].numel()))


def test_a_mask_without_its_flag_is_not_seen():
    told = prompts(mask=torch.full((16, 24), 9.0))._replace(has_mask=torch.zeros(1))
    assert not prompt_maps(told, SIZE).any()


def test_objects_are_drawn_apart():
    both = PromptTensors(
        *(
            torch.cat(pair)
            for pair in zip(
                prompts([(6.0, 22.0)], [1.0], box=(0.0, 0.0, 8.0, 8.0)),
                prompts([(22.0, 6.0)], [0.0]),
            )
        )
    )
    maps = prompt_maps(both, SIZE)
    assert torch.equal(maps[0], draw([(6.0, 22.0)], [1.0], box=(0.0, 0.0, 8.0, 8.0)))
    assert torch.equal(maps[1], draw([(22.0, 6.0)], [0.0]))
