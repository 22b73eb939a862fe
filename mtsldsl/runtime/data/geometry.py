"""Cameras, and surface normals from depth."""

from __future__ import annotations

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

WINDOW = 10 / 519.0
"""Half the width of the window of a plane, in tangents of the viewing angle: 10 pixels of a 640x480 Kinect image."""


_BAND = 400_000
"""Entries of the windows that are treated at a time, so that they stay in the processor's cache."""


@attrs.frozen
class Camera:
    """A pinhole camera: focal lengths and principal point in pixels, pixel (0, 0) having its centre at (0, 0).

    Its frame is x right, y down, z forward.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def cropped(self, top: int, left: int) -> Camera:
        """The camera of the image that starts at row `top` and column `left`."""
        return attrs.evolve(self, cx=self.cx - left, cy=self.cy - top)

    def resized(self, height: float, width: float) -> Camera:
        """The camera of the image with height and width multiplied by these factors."""
        return Camera(
            fx=self.fx * width,
            fy=self.fy * height,
            cx=(self.cx + 0.5) * width - 0.5,
            cy=(self.cy + 0.5) * height - 0.5,
        )

    def rays(self, height: int, width: int) -> NDArray[np.float64]:
        """The point at depth 1 that each pixel sees, `(height, width, 3)`."""
        x = (np.arange(width) - self.cx) / self.fx
        y = (np.arange(height) - self.cy) / self.fy
        grid = np.broadcast_arrays(x[None, :], y[:, None], np.ones(()))
        return np.stack(grid, axis=-1)


def normals_from_depth(depth: Tensor, camera: Camera, tolerance: float = 0.05, quantum: float = 0.0) -> Tensor:
    """Unit normals that point at the camera, `(3, h, w)`, zero where there is none, from depth in metres `(h, w)`.

    A plane's inverse depth is linear in the image, so at each pixel a line of inverse depth is fitted by least squares
    over the pixels of a window (`WINDOW`) whose depth differs by less than `tolerance` of the pixel's own, which keeps
    the surfaces on the two sides of an occlusion apart. `quantum` widens this by the step of a quantised depth.
    """
    height, width = depth.shape
    radius = max(2, round(WINDOW * (camera.fx + camera.fy) / 2))
    step = max(1, radius // 5)
    radius -= radius % step
    offsets = torch.arange(-radius, radius + 1, step, dtype=torch.float32)
    dy, dx = (grid.reshape(-1) for grid in torch.meshgrid(offsets, offsets, indexing="ij"))
    moments = torch.stack([torch.ones_like(dx), dx, dy, dx * dx, dy * dy, dx * dy])

    inverse = torch.where(depth > 0, 1 / depth.clamp_min(1e-6), 0.0).float()
    limit = inverse * (tolerance + quantum * inverse)
    padded = F.pad(inverse, (radius, radius, radius, radius))
    fits = []
    band = max(1, _BAND // (len(dx) * width))
    for top in range(0, height, band):
        centre = inverse[top : top + band]
        windows = padded[top:].as_strided(
            (len(offsets), len(offsets), *centre.shape), (step * padded.shape[1], step, padded.shape[1], 1)
        )
        difference = (windows - centre).reshape(len(dx), -1)
        near = (difference.abs() < limit[top : top + band].reshape(-1)).float()
        fits.append(_fit(moments @ near, moments[:3] @ (near * difference), centre.reshape(-1)))
    value, along_x, along_y = torch.cat(fits, dim=1).reshape(3, height, width)

    # q = n . ray / d for the plane n . p = d
    x = (torch.arange(width) - camera.cx) / camera.fx
    y = ((torch.arange(height) - camera.cy) / camera.fy)[:, None]
    across, down = along_x * camera.fx, along_y * camera.fy
    forward = value - across * x - down * y
    # written out, as a norm over the first dimension is slow
    length = (across * across + down * down + forward * forward).sqrt()
    scale = torch.where(value > 0, -1 / length.clamp_min(1e-12), 0.0)
    return torch.stack([across, down, forward]) * scale


def _fit(counts: Tensor, sums: Tensor, centre: Tensor) -> Tensor:
    """Value and slopes at the centre of the least-squares planes, `(3, pixels)`, zero where they are not determined."""
    n, x, y, xx, yy, xy = counts
    q, qx, qy = sums
    n = n.clamp_min(1)
    vxx, vyy, vxy = xx - x * x / n, yy - y * y / n, xy - x * y / n
    cx, cy = qx - q * x / n, qy - q * y / n
    determinant = vxx * vyy - vxy * vxy
    along_x = (cx * vyy - cy * vxy) / determinant.clamp_min(1e-6)
    along_y = (cy * vxx - cx * vxy) / determinant.clamp_min(1e-6)
    value = centre + q / n - along_x * x / n - along_y * y / n
    planes: Tensor = torch.stack([value, along_x, along_y]) * (determinant > 0.5)
    return planes
