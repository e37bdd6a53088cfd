"""The date of a token."""

import torch

from encoder.date_encoding import DateEncoding


def test_days_look_up_their_row() -> None:
    encoding = DateEncoding(width=4)
    torch.nn.init.normal_(encoding.table)
    out = encoding(torch.tensor([[1, 200], [365, 0]]))
    assert out.shape == (2, 2, 4)
    assert torch.equal(out[0, 0], encoding.table[0])
    assert torch.equal(out[0, 1], encoding.table[199])
    assert torch.equal(out[1, 0], encoding.table[364])


def test_leap_day_clamps_and_unknown_adds_nothing() -> None:
    encoding = DateEncoding(width=4)
    torch.nn.init.normal_(encoding.table)
    assert torch.equal(encoding(torch.tensor([366])), encoding(torch.tensor([365])))
    assert torch.equal(encoding(torch.tensor([0])), torch.zeros(1, 4))
