"""The teacher follows, its scores are centred, its momentum rises to one."""

import pytest
import torch
from torch import nn

from encoder.training.teacher import Centring, follow, make_teacher, teacher_momentum


def test_the_teacher_is_a_running_mean_of_the_student() -> None:
    student = nn.Linear(2, 2)
    teacher = make_teacher(student)
    start = teacher.weight.clone()
    with torch.no_grad():
        student.weight += 1
    follow(teacher, student, 0.9)
    torch.testing.assert_close(teacher.weight, start + 0.1)
    assert not teacher.weight.requires_grad


def test_buffers_of_whole_numbers_are_copied() -> None:
    student = nn.BatchNorm1d(2)
    teacher = make_teacher(student)
    student(torch.randn(4, 2))
    follow(teacher, student, 0.5)
    assert int(teacher.num_batches_tracked) == 1


def test_momentum_rises_to_one() -> None:
    assert teacher_momentum(0, 100, 0.99) == pytest.approx(0.99)
    assert teacher_momentum(50, 100, 0.99) == pytest.approx(0.995)
    assert teacher_momentum(100, 100, 0.99) == pytest.approx(1.0)


def test_the_centre_is_the_mean_of_the_scores_and_is_subtracted() -> None:
    centring = Centring(momentum=0.9)
    scores = torch.tensor([[1.0, 3.0], [3.0, 5.0]])
    head = centring.head("s2", lambda x: x, 0.5)
    torch.testing.assert_close(head(scores), scores / 0.5)
    centring.update()
    torch.testing.assert_close(centring.centres["s2"], torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(head(scores), (scores - torch.tensor([2.0, 4.0])) / 0.5)
    head(scores + 10)  # the mean of both calls is 7 and 9
    centring.update()
    torch.testing.assert_close(
        centring.centres["s2"], torch.tensor([2.0, 4.0]) * 0.9 + torch.tensor([7.0, 9.0]) * 0.1
    )


def test_centres_survive_a_checkpoint() -> None:
    centring, other = Centring(), Centring()
    centring.head("s1", lambda x: x, 1.0)(torch.ones(3, 2))
    centring.update()
    other.load_state_dict(centring.state_dict())
    torch.testing.assert_close(other.centres["s1"], torch.ones(2))


def test_collapsed_scores_show_in_the_share_of_outputs_used() -> None:
    centring = Centring()
    centring.head("a", lambda x: x, 1.0)(torch.eye(8))
    centring.head("b", lambda x: x, 1.0)(torch.eye(8)[:1].repeat(8, 1))
    centring.update()
    assert centring.used == {"a": pytest.approx(1.0), "b": pytest.approx(1 / 8)}
