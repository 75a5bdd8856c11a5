"""The mathematics of diffusion: schedules, processes, samplers."""

from moldiff.diffusion.bounded import BoundedProcess
from moldiff.diffusion.categorical import CategoricalProcess
from moldiff.diffusion.gaussian import GaussianProcess
from moldiff.diffusion.grid import GeometricGrid, PowerGrid, TimeGrid, UniformGrid
from moldiff.diffusion.guidance import Guide, GuidedProcess
from moldiff.diffusion.guides import AtomDistance, PocketClashes, PredictedProperty, RadiusOfGyration
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.latent import LatentProcess
from moldiff.diffusion.noise import MoleculeNoise, Noise, StreamNoise
from moldiff.diffusion.one_hot import OneHotGaussianProcess
from moldiff.diffusion.process import Process, StepOptions
from moldiff.diffusion.sampler import AncestralSampler, EulerSampler, HeunSampler, MultistepSampler, Sampler
from moldiff.diffusion.schedule import CosineSchedule, LinearSchedule, NoiseSchedule, PolynomialSchedule

__all__ = [
    "AncestralSampler",
    "AtomDistance",
    "BoundedProcess",
    "CategoricalProcess",
    "CosineSchedule",
    "EulerSampler",
    "GaussianProcess",
    "GeometricGrid",
    "Guide",
    "GuidedProcess",
    "HeunSampler",
    "JointProcess",
    "LatentProcess",
    "LinearSchedule",
    "MoleculeNoise",
    "MultistepSampler",
    "Noise",
    "NoiseSchedule",
    "OneHotGaussianProcess",
    "PocketClashes",
    "PolynomialSchedule",
    "PowerGrid",
    "PredictedProperty",
    "Process",
    "RadiusOfGyration",
    "Sampler",
    "StepOptions",
    "StreamNoise",
    "TimeGrid",
    "UniformGrid",
]
