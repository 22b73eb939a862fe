"""How alike two representations of the same samples are: public names of `mtsldsl.runtime.structure.similarities`."""

from __future__ import annotations

from mtsldsl.runtime.structure.similarities.cka import alignment_loss, cka, cka_matrix
from mtsldsl.runtime.structure.similarities.readout import readout, readout_matrix
from mtsldsl.runtime.structure.similarities.rsa import rsa, rsa_matrix

__all__ = ["alignment_loss", "cka", "cka_matrix", "readout", "readout_matrix", "rsa", "rsa_matrix"]
