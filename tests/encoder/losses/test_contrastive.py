"""L_CL against sums written out, and at its minimum."""

import math

import pytest
import torch

from encoder.losses.contrastive import STUDENT_TEMPERATURE, contrastive_loss


def test_against_sums_written_out() -> None:
    student = torch.tensor([[0.1, 0.3, -0.2], [0.0, 0.5, 0.4]])
    teacher = torch.tensor([[1.0, 2.0, 0.5], [-1.0, 0.0, 3.0]])
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        weights = [math.exp(x) for x in t]
        scores = [math.exp(x / STUDENT_TEMPERATURE) for x in s]
        total -= sum(
            w / sum(weights) * math.log(score / sum(scores)) for w, score in zip(weights, scores, strict=True)
        )
    assert float(contrastive_loss(student, teacher)) == pytest.approx(total / 2)


def test_least_where_both_agree_and_there_it_is_the_teachers_entropy() -> None:
    teacher = torch.tensor([[2.0, 0.0, -1.0]])
    p = torch.softmax(teacher, dim=-1)
    entropy = float(-(p * p.log()).sum())
    agreeing = teacher * STUDENT_TEMPERATURE
    assert float(contrastive_loss(agreeing, teacher)) == pytest.approx(entropy)
    assert float(contrastive_loss(agreeing.flip(-1), teacher)) > entropy + 1


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    contrastive_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_no_pairs_cost_nothing() -> None:
    student = torch.zeros(0, 3, requires_grad=True)
    loss = contrastive_loss(student, torch.zeros(0, 3))
    loss.backward()
    assert float(loss.detach()) == 0.0
