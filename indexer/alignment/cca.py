"""Regularised canonical correlation (Hotelling 1936) between two views of the same things."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_VARIANCE = 1e-12  # of a view that always shows the same


@dataclass(frozen=True)
class CCA:
    """Directions of two views that agree most."""

    x_mean: np.ndarray  # (dx,)
    y_mean: np.ndarray  # (dy,)
    x_axes: np.ndarray  # (dx, k)
    y_axes: np.ndarray  # (dy, k)

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, ridge: float, k: int) -> CCA:
        """x (n, dx), y (n, dy), row by row of one thing; `ridge` is relative to the mean variance."""
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        x, y = x - x_mean, y - y_mean
        x_white, y_white = _whitener(x, ridge), _whitener(y, ridge)
        u, s, vt = np.linalg.svd(x_white @ (x.T @ y / len(x)) @ y_white, full_matrices=False)
        k = min(k, len(s))
        weight = np.sqrt(s[:k])  # directions that agree more count more
        return cls(x_mean, y_mean, x_white @ u[:, :k] * weight, y_white @ vt[:k].T * weight)

    def first(self, k: int) -> CCA:
        """The k directions that agree most."""
        return CCA(self.x_mean, self.y_mean, self.x_axes[:, :k], self.y_axes[:, :k])

    def turned(self) -> CCA:
        """From the second view to the first."""
        return CCA(self.y_mean, self.x_mean, self.y_axes, self.x_axes)

    def project(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both views in the common space, (n, k) each."""
        return (x - self.x_mean) @ self.x_axes, (y - self.y_mean) @ self.y_axes


def _whitener(x: np.ndarray, ridge: float) -> np.ndarray:
    covariance = x.T @ x / len(x)
    floor = ridge * float(np.trace(covariance)) / len(covariance)
    values, axes = np.linalg.eigh(covariance + floor * np.eye(len(covariance)))
    return np.asarray((axes / np.sqrt(np.maximum(values, LEAST_VARIANCE))) @ axes.T)
