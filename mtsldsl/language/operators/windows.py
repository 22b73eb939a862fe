"""Windows that slide over an image or over tokens: padding, sizes, and what convolutions ask of their groups."""

from __future__ import annotations

from collections.abc import Sequence

from mtsldsl.language.operator import Arguments, Misfit
from mtsldsl.language.operators.arguments import apply
from mtsldsl.language.operators.shapes import divides, divisors, times

WHAT = {1: ("tokens", "sequence"), 2: ("pixels", "image")}
"""What a window covers, and what it slides over, by the number of its directions."""


def same(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """The padding that keeps the size at stride 1, for odd kernels; 0 for even ones, which have none."""
    return tuple(d * (k - 1) // 2 if k % 2 else 0 for k, d in zip(kernel, dilation, strict=True))


def slide(
    operator: str,
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    *,
    ceil: bool = False,
) -> tuple[int, ...]:
    """Size of the result in each direction, as torch.nn.Conv2d and torch.nn.MaxPool2d document it."""
    padded = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    window = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    result = []
    for n, p, whole, extent, s in zip(size, padding, padded, window, stride, strict=True):
        steps = (whole - extent + (s - 1 if ceil else 0)) // s
        if ceil and steps * s >= n + p:  # a window that would start in the padding after the values is left out
            steps -= 1
        result.append(steps + 1)
    if min(result) < 1:
        covered, whole_value = WHAT[len(kernel)]
        raise Misfit(
            f"`{operator}` covers {times(window)} {covered}, but the padded {whole_value} has only {times(padded)}",
            "take a smaller kernel, more padding, or fewer strides before it",
        )
    return tuple(result)


def grouped(operator: str, channels: int, filters: int, groups: int) -> None:
    """Misfit unless the groups of a convolution divide the channels that it gets and those that it makes."""
    divides(
        groups,
        channels,
        f"`{operator}` gets {channels} channels, which {groups} groups do not divide",
        f"take groups={divisors(channels)}",
    )
    divides(
        groups,
        filters,
        f"`{operator}` makes {filters} channels, which {groups} groups do not divide",
        f"take a multiple of {groups} for out_channels",
    )


def half_padded(operator: str, kernel: Sequence[int], padding: Sequence[int]) -> None:
    """Misfit if a pooling has more padding than half of its kernel."""
    half = [k // 2 for k in kernel]
    if any(p > most for p, most in zip(padding, half, strict=True)):
        written = half[0] if len(set(half)) == 1 else half
        raise Misfit(
            f"`{operator}` has a padding of {times(padding)}, more than half of its kernel of {times(kernel)}",
            f"take padding={written}",
        )


def max_pool(function: str, value: str, arguments: Arguments) -> str:
    """The call of a `max_pool1d` or `max_pool2d` of torch on a value with its channels first."""
    return apply(
        function,
        value,
        arguments["kernel_size"],
        stride=(arguments["stride"], arguments["kernel_size"]),
        padding=(arguments["padding"], 0),
        dilation=(arguments["dilation"], 1),
        ceil_mode=(arguments["ceil_mode"], False),
    )


def avg_pool(function: str, value: str, arguments: Arguments) -> str:
    """The same of an `avg_pool1d` or `avg_pool2d`."""
    return apply(
        function,
        value,
        arguments["kernel_size"],
        stride=(arguments["stride"], arguments["kernel_size"]),
        padding=(arguments["padding"], 0),
        ceil_mode=(arguments["ceil_mode"], False),
        count_include_pad=(arguments["count_include_pad"], True),
    )
