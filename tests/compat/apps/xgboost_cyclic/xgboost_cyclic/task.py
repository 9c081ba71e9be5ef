"""xgboost_cyclic: a Flower / XGBoost app."""

import numpy as np
import xgboost as xgb


def load_data(seed: int) -> xgb.DMatrix:
    """Points within a ring or outside it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, 4)).astype(np.float32)
    return xgb.DMatrix(x, label=(np.square(x).sum(axis=1) > 3).astype(np.float32))


def replace_keys(input_dict, match="-", target="_"):
    """Recursively replace match string with target string in dictionary keys."""
    return {
        key.replace(match, target): replace_keys(value, match, target) if isinstance(value, dict) else value
        for key, value in input_dict.items()
    }
