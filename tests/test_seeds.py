"""Seeds by purpose: a change of them would give every spec other weights and another order of samples."""

from __future__ import annotations

from mtsldsl.seeds import seed_of, torch_seed_of


def test_a_seed_is_the_first_eight_bytes_of_the_digest_of_its_purpose() -> None:
    # printf '0 stem' | sha256sum
    assert seed_of(0, "stem") == 0xFB767CA0C3B5E46A
    assert torch_seed_of(0, "stem") == 0xFB767CA0C3B5E46A // 2
    assert torch_seed_of(0, "stem") < 2**63
