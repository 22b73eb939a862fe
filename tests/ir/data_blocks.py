"""A spec of three tasks that read two data blocks."""

from __future__ import annotations

TWO = """\
mtl 1

data arrays small {
  path  = "small.npz"
  input = image(1, 16, 16)
  batch = 16
}

data arrays large {
  path    = "large.npz"
  input   = image(1, 24, 24)
  batch   = 8
  augment = [hflip]
}

task digit {
  data   = small
  target = classes(10)
  head   = linear(outputs)
}

task ink {
  data   = small
  target = values(1)
  head   = linear(outputs)
}

task letter {
  data   = large
  target = classes(5)
  head   = linear(outputs)
}

backbone {
  stem = conv2d(4, 3, stride=2) | batch_norm | relu
  mid  = conv2d(4, 3, stride=2) | batch_norm | relu
  out  = adaptive_avg_pool2d(1) | flatten | linear(8) | relu
}

train {
  epochs   = 3
  sampling = temperature(0.5)
}

sharing {
  stem = all
  mid  = digit, ink + letter
}
"""
