"""MuonAdamW behaves as one optimizer that steps as torch's own two."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon
from torch.optim.lr_scheduler import LambdaLR

from moldiff.training.muon import MuonAdamW

RATE = 3e-3


class Network(nn.Module):
    """A matrix outside the blocks, and a matrix and a vector inside them."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 8)
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = torch.tanh(block(x))
        return self.gain * x

    def hidden(self):
        return [block.weight for block in self.blocks]

    def rest(self):
        return [self.first.weight, self.first.bias, *(block.bias for block in self.blocks), self.gain]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network()


def backward(network, step):
    network.zero_grad()
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
    loss = (network(x) - x.sum(1, keepdim=True)).square().mean()
    loss.backward()
    return loss


def optimizer_of(network, **options):
    return MuonAdamW(network.named_parameters(), lr=RATE, weight_decay=0.1, **options)


def train(network, optimizer, steps, scheduler=None):
    for step in steps:
        backward(network, step)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def assert_equal(first, second):
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_every_parameter_is_in_one_part(network):
    muon, adamw = optimizer_of(network).parts
    assert isinstance(muon, Muon)
    assert isinstance(adamw, AdamW)
    for part, expected in ((muon, network.hidden()), (adamw, network.rest())):
        held = [p for group in part.param_groups for p in group["params"]]
        assert {id(p) for p in held} == {id(p) for p in expected}
        assert len(held) == len(expected)


def test_frozen_parameters_are_left_out(network):
    network.first.requires_grad_(False)
    held = [p for group in optimizer_of(network).param_groups for p in group["params"]]
    assert len(held) == 5
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameters to train"):
        optimizer_of(network)


def test_steps_are_those_of_torch(network):
    other = copy.deepcopy(network)
    apart = (
        Muon(other.hidden(), lr=RATE, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        AdamW(other.rest(), lr=RATE / 2, weight_decay=0.1, betas=(0.9, 0.98)),
    )
    optimizer = optimizer_of(network)
    for step in range(5):
        backward(network, step)
        optimizer.step()
        backward(other, step)
        for part in apart:
            part.step()
    assert_equal(network, other)


def test_rate_of_adamw_can_be_chosen(network):
    assert [g["lr"] for g in optimizer_of(network, adamw_lr=1e-5).param_groups] == [RATE, 1e-5]


def test_closure_is_called_once_with_gradients(network):
    optimizer, calls = optimizer_of(network), []

    def closure():
        calls.append(torch.is_grad_enabled())
        return backward(network, 0)

    before = copy.deepcopy(network)
    expected = backward(copy.deepcopy(network), 0)
    assert optimizer.step(closure) == expected
    assert calls == [True]
    assert not torch.equal(before.first.weight, network.first.weight)


def test_zero_grad_reaches_all(network):
    backward(network, 0)
    optimizer_of(network).zero_grad()
    assert all(p.grad is None for p in network.parameters())


def test_schedule_reaches_both_parts(network):
    optimizer = optimizer_of(network)
    scheduler = LambdaLR(optimizer, lambda step: 0.0 if step >= 2 else 1.0)
    train(network, optimizer, range(2), scheduler)
    assert [g["lr"] for part in optimizer.parts for g in part.param_groups] == [0.0, 0.0]
    before = copy.deepcopy(network)
    train(network, optimizer, range(2, 4), scheduler)
    assert_equal(network, before)  # nothing moves at rate 0


def test_state_goes_through_a_file(network, tmp_path):
    """Saved after three steps and loaded into a fresh network, optimizer and schedule: they go on as if nothing was."""

    def schedule(optimizer):
        return LambdaLR(optimizer, lambda step: 1 / (1 + step))

    optimizer = optimizer_of(network)
    scheduler = schedule(optimizer)
    train(network, optimizer, range(3), scheduler)
    torch.save((network.state_dict(), optimizer.state_dict(), scheduler.state_dict()), tmp_path / "state")
    saved = torch.load(tmp_path / "state", weights_only=True)

    torch.manual_seed(1)
    other = Network()
    other_optimizer = optimizer_of(other)
    other_scheduler = schedule(other_optimizer)
    for thing, state in zip((other, other_optimizer, other_scheduler), saved, strict=True):
        thing.load_state_dict(state)
    for group, part in zip(other_optimizer.param_groups, other_optimizer.parts, strict=True):
        assert group is part.param_groups[0]
    train(network, optimizer, range(3, 6), scheduler)
    train(other, other_optimizer, range(3, 6), other_scheduler)
    assert_equal(network, other)
    assert [g["lr"] for g in other_optimizer.param_groups] == pytest.approx([RATE / 7, RATE / 14])


def test_weight_decay_is_that_of_the_run_that_goes_on(network):
    state = optimizer_of(network).state_dict()
    other = optimizer_of(Network())
    for group in other.param_groups:
        group["weight_decay"] = 0.3
    other.load_state_dict(state)
    assert [group["weight_decay"] for part in other.parts for group in part.param_groups] == [0.3, 0.3]


def test_state_of_another_network_is_refused(network):
    state = optimizer_of(network).state_dict()
    with pytest.raises(ValueError, match="parameter group"):
        MuonAdamW([("first", nn.Parameter(torch.zeros(3)))]).load_state_dict(state)


def test_hooks_run_once_a_step(network):
    optimizer, calls = optimizer_of(network), []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    train(network, optimizer, range(2))
    assert calls == ["before", "after"] * 2


def test_state_can_be_looked_up(network):
    """As of any torch optimizer, `state` tells what is kept of a parameter, before and after loading."""
    optimizer = optimizer_of(network)
    train(network, optimizer, range(1))
    assert "momentum_buffer" in optimizer.state[network.blocks[0].weight]
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert "exp_avg" in optimizer.state[network.gain]
    assert len(optimizer.state) == 7
