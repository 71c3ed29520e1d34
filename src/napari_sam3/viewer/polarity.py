"""Which clicks are on the object, and which on the background."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Points
from numpy.typing import ArrayLike, NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.stacking import role_of

__all__ = [
    "COLUMN",
    "NEGATIVE",
    "NEGATIVE_SYMBOL",
    "POSITIVE",
    "POSITIVE_SYMBOL",
    "change_polarity",
    "empty_polarity",
    "flip_polarity",
    "is_owned",
    "polarities",
    "polarity_of",
    "set_polarity",
]

COLUMN, POSITIVE, NEGATIVE = "polarity", "positive", "negative"
#: Told apart without colours, too. Only layers that we made get them.
POSITIVE_SYMBOL, NEGATIVE_SYMBOL = "disc", "x"

#: Columns of others that may say the same.
_COLUMNS = (COLUMN, "label")
_OPPOSITES = {
    POSITIVE: NEGATIVE,
    "foreground": "background",
    "true": "false",
    "1": "0",
    "1.0": "0.0",
}
_MEANINGS = dict.fromkeys(_OPPOSITES, True) | dict.fromkeys(_OPPOSITES.values(), False)


def is_owned(layer: Any) -> bool:
    """Whether a layer was made to hold prompts, by `create_points` or its like."""
    return role_of(layer) == "prompts"


def empty_polarity() -> pd.DataFrame:
    """Return features without rows for a new layer."""
    return pd.DataFrame({COLUMN: pd.Categorical([], [POSITIVE, NEGATIVE])})


def polarities(layer: Points) -> NDArray[np.bool_]:
    """Tell for each point whether it is on the object.

    Parameters
    ----------
    layer : napari.layers.Points
        With N points. Its feature ``polarity``, else ``label``, holds
        positive/negative, foreground/background, 1/0 or True/False. What has no
        value is positive; without such a feature all points are.

    Returns
    -------
    ndarray of shape (N,) and dtype bool
        True on the object.

    Raises
    ------
    LayerError
        If ``polarity`` holds something else.
    """
    features = layer.features
    column = _column(layer)
    if column is None:
        return np.ones(len(features), np.bool_)
    return _read(features[column])


def polarity_of(layer: Points) -> bool:
    """Tell whether the next click will be on the object."""
    column = _column(layer)
    if column is None:
        return True
    return _meaning(layer.feature_defaults[column].iloc[0]) is not False


def set_polarity(layer: Points, positive: bool) -> None:
    """Say what the next click will be; no point changes, nor does the selection.

    Parameters
    ----------
    layer : napari.layers.Points
        Gets a feature ``polarity`` if it has none and needs one.
    positive : bool
        On the object, or on the background.
    """
    if polarity_of(layer) != positive:
        _assign(layer, _with_vocabulary(layer), positive)
    _follow_symbol(layer, positive)


def flip_polarity(layer: Points) -> None:
    """Turn the selected points to the other side, and the next click as well.

    Without a selection, or while points are being added, only the next click is
    turned: napari selects the point that was added last, but it is not meant. The
    layer's event ``features`` tells of turned points, once.

    Parameters
    ----------
    layer : napari.layers.Points
        Gets a feature ``polarity`` if it has none.
    """
    upcoming = not polarity_of(layer)
    rows = sorted(int(row) for row in layer.selected_data)
    if rows and str(layer.mode) != "add":
        change_polarity(layer, rows, ~polarities(layer)[rows], upcoming)
    else:
        set_polarity(layer, upcoming)


def change_polarity(
    layer: Points, rows: Iterable[int], positive: ArrayLike, upcoming: bool
) -> None:
    """Give points their sides.

    Parameters
    ----------
    layer : napari.layers.Points
        Gets a feature ``polarity`` if it has none.
    rows : iterable of int
        Which points.
    positive : array_like of shape (len(rows),) and dtype bool
        On the object, or on the background.
    upcoming : bool
        What the next click will be.
    """
    rows = list(rows)
    signs = np.asarray(positive, np.bool_)
    features = _with_vocabulary(layer)
    column = _column_in(features, layer.feature_defaults) or COLUMN
    words = {sign: _word(features[column], sign) for sign in (True, False)}
    values = features[column].to_numpy(object, copy=True)
    for row, sign in zip(rows, signs.tolist(), strict=True):
        values[row] = words[sign]
    features[column] = pd.Series(values, dtype=features[column].dtype)
    _assign(layer, features, upcoming)
    if is_owned(layer):
        symbols = np.array(layer.symbol, object)
        symbols[rows] = np.where(signs, POSITIVE_SYMBOL, NEGATIVE_SYMBOL)
        layer.symbol = [str(symbol) for symbol in symbols]
    _follow_symbol(layer, upcoming)


def _assign(layer: Points, features: pd.DataFrame, upcoming: bool) -> None:
    """Set features and default together; who listens sees both."""
    defaults = layer.feature_defaults.copy()
    changed = not features.equals(layer.features)
    if changed:
        # napari takes the last point's features as the new defaults; whoever
        # looked now would take them for the user's wish.
        with layer.events.features.blocker(), layer.events.properties.blocker():
            layer.features = features
    column = _column_in(features, defaults) or COLUMN
    defaults[column] = pd.Series([_word(features[column], upcoming)], dtype=object)
    # Not `current_properties`: that would change the selected points, and the
    # last one that was clicked is selected.
    layer.feature_defaults = defaults
    if changed:
        layer.events.properties()
        layer.events.features()


def _follow_symbol(layer: Points, positive: bool) -> None:
    if not is_owned(layer):
        return
    symbol = POSITIVE_SYMBOL if positive else NEGATIVE_SYMBOL
    if str(layer.current_symbol) != symbol:
        # Else the selected points would get it, too.
        with layer.block_update_properties():
            layer.current_symbol = symbol


def _column(layer: Points) -> str | None:
    return _column_in(layer.features, layer.feature_defaults)


def _column_in(features: pd.DataFrame, defaults: pd.DataFrame) -> str | None:
    """Return which feature tells the sides apart."""
    for name in _COLUMNS:
        if name not in features:
            continue
        values = [*features[name].unique(), *defaults.get(name, ())]
        strange = [v for v in values if not pd.isna(v) and _meaning(v) is None]
        if not strange:
            return name
        if name == COLUMN:
            raise LayerError(
                f"The polarity {strange[0]!r} of a point is neither positive nor "
                "negative; change it in the layer's features."
            )
    return None


def _read(column: pd.Series) -> NDArray[np.bool_]:
    codes, values = pd.factorize(column)
    # The last one is for points without a value, whose code is -1.
    meanings = [_meaning(value) is not False for value in values] + [True]
    return np.array(meanings, np.bool_)[codes]


def _meaning(value: Any) -> bool | None:
    """Return what one value says; None if it says nothing."""
    return _MEANINGS.get(str(value).strip().lower())


def _with_vocabulary(layer: Points) -> pd.DataFrame:
    """Return a copy of the features in which both sides can be told."""
    features = layer.features.copy()
    column = _column(layer)
    if column is None:
        words = [POSITIVE] * len(features)
        features[COLUMN] = pd.Categorical(words, [POSITIVE, NEGATIVE])
        return features
    values = features[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        words = [_word(values, positive) for positive in (True, False)]
        missing = [word for word in words if word not in values.cat.categories]
        features[column] = values.cat.add_categories(missing)
    return features


def _word(column: pd.Series, positive: bool) -> Any:
    """Return how a column says it: in its own words, as far as it has any."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = list(column.cat.categories)
    elif pd.api.types.is_bool_dtype(column.dtype):
        known = [True, False]
    elif pd.api.types.is_numeric_dtype(column.dtype):
        known = [1, 0]
    else:
        known = [value for value in column.unique() if not pd.isna(value)]
    for value in known:
        if _meaning(value) is positive:
            return value
    return _other_word(known, positive)


def _other_word(known: list[Any], positive: bool) -> Any:
    """Return the opposite of a word, to go with it."""
    pairs = _OPPOSITES if not positive else {b: a for a, b in _OPPOSITES.items()}
    for value in known:
        if isinstance(value, bool | np.bool_):
            return positive
        if isinstance(value, int | float | np.number):
            return type(value)(positive)
        if (word := str(value).strip().lower()) in pairs:
            return pairs[word].capitalize() if value[:1].isupper() else pairs[word]
    return POSITIVE if positive else NEGATIVE
