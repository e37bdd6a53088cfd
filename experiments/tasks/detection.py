"""Boxes: a small anchor-free head on the frozen dense map.

Two convolutions on the squares and one on a grid four times finer give at each of its points a score per
class, and of the object whose centre lies there the offset of the centre, the logarithm of its sides and,
where boxes may be rotated, the sine and cosine of twice its angle. Points around a centre count as it by a
Gaussian, and scores are kept where they are highest among neighbours (after CenterNet, arXiv 1904.07850).
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..datasets.scene import Boxes
from .box_measures import Detections, box_measures
from .features import Features
from .judges import Table
from .question import Asked

FINER = 4  # points along a square
WIDTH = 64
MOST_BOXES = 100  # boxes of a tile, at most
LEAST_SCORE = 0.01
BATCH = 8
RATE = 2e-3
REACH = 0.15  # of a Gaussian around a centre, as a share of the object's shorter side
SHAPE = 6  # dx, dy, log of the sides, sine and cosine of twice the angle


class FinerGrid(nn.Module):
    """(B, F, h, w) -> (B, WIDTH / 2, 4h, 4w): two convolutions on the squares, one on the finer grid."""

    width = WIDTH // 2

    def __init__(self, width: int) -> None:
        super().__init__()
        self.coarse = nn.Sequential(
            nn.Conv2d(width, WIDTH, 1), nn.GroupNorm(8, WIDTH), nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.GroupNorm(8, WIDTH), nn.ReLU(),
            nn.Conv2d(WIDTH, self.width * FINER**2, 1), nn.PixelShuffle(FINER),
        )  # fmt: skip
        self.fine = nn.Sequential(
            nn.GroupNorm(8, self.width), nn.ReLU(),
            nn.Conv2d(self.width, self.width, 3, padding=1), nn.GroupNorm(8, self.width), nn.ReLU(),
        )  # fmt: skip

    def forward(self, maps: Tensor) -> Tensor:
        return cast(Tensor, self.fine(self.coarse(maps)))


class DetectionHead(nn.Module):
    """(B, F, h, w) -> scores (B, K, 4h, 4w) as logits, and shapes (B, 6, 4h, 4w)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.finer = FinerGrid(width)
        self.score = nn.Conv2d(self.finer.width, classes, 1)
        self.shape = nn.Conv2d(self.finer.width, SHAPE, 1)
        nn.init.constant_(self.score.bias, -4.0)  # type: ignore[arg-type]  # few points are centres

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        x = self.finer(maps)
        return self.score(x), self.shape(x)


class Detection:
    """Judge of boxes."""

    def __init__(self, asked: Asked, px_per_cell: int, steps: int, seed: int) -> None:
        self.n, self.k = len(asked.train), len(asked.classes)
        self.boxes = [cast(Boxes, tile.truth) for tile in (*asked.train, *asked.test)]
        self.block = asked.query_block
        self.step_px = px_per_cell / FINER  # between points
        self.rotated, self.steps, self.seed = asked.about.rotated, steps, seed
        self.metrics: tuple[str, ...] = (asked.about.measure,)

    def __call__(self, views: tuple[Features, ...]) -> Table:
        """The head is fitted on the tiles that come first."""
        dense = views[0].dense
        mean, spread = dense[: self.n].mean(axis=(0, 1, 2)), dense[: self.n].std(axis=(0, 1, 2))
        scaled = (dense - mean) / np.where(spread > 1e-6, spread, 1)
        maps = torch.from_numpy(scaled.transpose(0, 3, 1, 2).astype(np.float32))
        head = self._fitted(maps[: self.n])
        with torch.inference_mode():
            made = [head(maps[i : i + 1]) for i in range(self.n, len(maps))]
        return self.scored([self.decoded(score[0].sigmoid(), shape[0]) for score, shape in made])

    def _fitted(self, maps: Tensor) -> DetectionHead:
        rng = np.random.default_rng(self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            head = DetectionHead(maps.shape[1], self.k)
        optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=self.steps)
        grid = (maps.shape[2] * FINER, maps.shape[3] * FINER)
        truth = [self.targets(boxes, grid) for boxes in self.boxes[: self.n]]
        score, shape, centres = (torch.stack(part) for part in zip(*truth, strict=True))
        for _ in range(self.steps):
            rows = rng.choice(len(maps), size=min(BATCH, len(maps)), replace=False)
            given = head(maps[rows])
            loss = detection_loss(given, (score[rows], shape[rows]), centres[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        return head.eval()

    def targets(self, boxes: Boxes, grid: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """What a head should say of a tile on `grid` points."""
        return targets(boxes, grid, self.step_px, self.k, self.rotated)

    def decoded(self, score: Tensor, shape: Tensor) -> Detections:
        """The best boxes of a tile, of what a head says."""
        return decoded(score, shape, self.step_px, self.rotated)

    def scored(self, detections: Sequence[Detections]) -> Table:
        """Measures of the tiles asked, in their order."""
        return dict(box_measures(detections, self.boxes[self.n :], self.k, self.block))

    def floors(self, seed: int) -> dict[str, Table]:
        """Boxes of those fitted on, with random scores, in every tile: what sizes and places alone give."""
        rng = np.random.default_rng(seed)
        known = [boxes for boxes in self.boxes[: self.n] if len(boxes.code)]
        drawn = [known[i] for i in rng.integers(0, len(known), len(self.boxes) - self.n)]
        return {"chance": self.scored([Detections(boxes, rng.random(len(boxes.code))) for boxes in drawn])}


def targets(
    boxes: Boxes, grid: tuple[int, int], step_px: float, classes: int, rotated: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """What the head should say: scores (K, h, w), shapes (6, h, w), where shapes are asked (h, w)."""
    score, shape = torch.zeros(classes, *grid), torch.zeros(SHAPE, *grid)
    centres = torch.zeros(grid, dtype=torch.bool)
    rows, cols = torch.arange(grid[0])[:, None] + 0.5, torch.arange(grid[1])[None, :] + 0.5
    for corners, code in zip(boxes.corners, boxes.code, strict=True):
        (x, y), sides, angle = geometry(corners, rotated)
        row, col = int(y // step_px), int(x // step_px)
        if not (0 <= row < grid[0] and 0 <= col < grid[1]):
            continue
        reach = max(REACH * min(sides) / step_px, 0.5)
        near = torch.exp(-((rows - row - 0.5) ** 2 + (cols - col - 0.5) ** 2) / (2 * reach**2))
        score[code] = torch.maximum(score[code], near)
        off = [x / step_px - col - 0.5, y / step_px - row - 0.5]
        large = [np.log(max(side, 1.0) / step_px) for side in sides]
        shape[:, row, col] = torch.tensor([*off, *large, np.sin(2 * angle), np.cos(2 * angle)])
        centres[row, col] = True
    return score, shape, centres


def geometry(corners: np.ndarray, rotated: bool) -> tuple[np.ndarray, tuple[float, float], float]:
    """Centre (x, y), length and breadth in pixels, and the angle of the length; upright: width, height, 0."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    if not rotated:
        return (low + high) / 2, (float(high[0] - low[0]), float(high[1] - low[1])), 0.0
    edges = [corners[1] - corners[0], corners[2] - corners[1]]
    sides = [float(np.hypot(*edge)) for edge in edges]
    longer = int(sides[1] > sides[0])
    along = edges[longer]
    return corners.mean(axis=0), (sides[longer], sides[1 - longer]), float(np.arctan2(along[1], along[0]))


def detection_loss(given: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor], centres: Tensor) -> Tensor:
    """CenterNet's focal loss of scores, and L1 of the shapes at centres, each for one object on average."""
    (score, shape), (wanted_score, wanted_shape) = given, wanted
    objects = centres.sum().clamp(min=1)
    likely = score.sigmoid().clamp(1e-5, 1 - 1e-5)
    peak = wanted_score > 1 - 1e-4
    right = (1 - likely) ** 2 * likely.log() * peak
    wrong = (1 - wanted_score) ** 4 * likely**2 * (1 - likely).log() * ~peak
    off = (shape - wanted_shape).abs().sum(dim=1)[centres].sum()
    return (off - right.sum() - wrong.sum()) / objects


def decoded(score: Tensor, shape: Tensor, step_px: float, rotated: bool) -> Detections:
    """Scores (K, h, w) and shapes (6, h, w) -> the best boxes of a tile."""
    peaks = score * (F.max_pool2d(score[None], 3, stride=1, padding=1)[0] == score)
    best, at = peaks.flatten().topk(min(MOST_BOXES, peaks.numel()))
    kept = at[best > LEAST_SCORE]
    code, row, col = (part.numpy() for part in torch.unravel_index(kept, score.shape))
    dx, dy, length, breadth, sine, cosine = shape[:, row, col].numpy().astype(np.float64)
    centre = np.stack([(col + 0.5 + dx) * step_px, (row + 0.5 + dy) * step_px], axis=1)
    angle = np.arctan2(sine, cosine) / 2 if rotated else np.zeros(len(code))
    sides = np.exp(np.clip(np.stack([length, breadth]), -8, 8)) * step_px
    return Detections(boxes_at(centre, sides, angle, code), best[best > LEAST_SCORE].numpy())


def boxes_at(centre: np.ndarray, sides: np.ndarray, angle: np.ndarray, code: np.ndarray) -> Boxes:
    """Centres (m, 2), length and breadth (2, m) and angles (m,) -> boxes."""
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1) * sides[0][:, None] / 2
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1) * sides[1][:, None] / 2
    corners = [centre - along - across, centre + along - across, centre + along + across]
    corners.append(centre - along + across)
    return Boxes(np.stack(corners, axis=1), code, np.zeros(len(code), dtype=bool))
