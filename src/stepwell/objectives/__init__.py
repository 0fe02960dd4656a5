"""Objectives of the gradient engine: one file each, with its source. Needs torch."""

from __future__ import annotations

from stepwell.objectives.barlow_twins import BarlowTwins
from stepwell.objectives.base import Joint, Objective, Task, unit
from stepwell.objectives.byol import BYOL
from stepwell.objectives.cross_entropy import CrossEntropy
from stepwell.objectives.dino import DINO
from stepwell.objectives.ibot import IBOT
from stepwell.objectives.latent_prediction import LatentPrediction
from stepwell.objectives.lejepa import LeJEPA
from stepwell.objectives.masked_autoencoding import MaskedAutoencoding
from stepwell.objectives.masked_token import MaskedToken
from stepwell.objectives.moco_v3 import MoCoV3
from stepwell.objectives.next_token import NextToken
from stepwell.objectives.regression import Regression
from stepwell.objectives.seq2seq import SequenceToSequence
from stepwell.objectives.simclr import SimCLR
from stepwell.objectives.simsiam import SimSiam
from stepwell.objectives.spectral_contrastive import SpectralContrastive
from stepwell.objectives.swav import SwAV
from stepwell.objectives.vicreg import VICReg
from stepwell.objectives.whitening import WhitenedMSE

OBJECTIVES: dict[str, type[Objective]] = {
    made.name: made
    for made in (
        BarlowTwins,
        VICReg,
        SimCLR,
        SpectralContrastive,
        WhitenedMSE,
        LeJEPA,
        SimSiam,
        BYOL,
        MoCoV3,
        DINO,
        SwAV,
        IBOT,
        LatentPrediction,
        MaskedAutoencoding,
        MaskedToken,
        NextToken,
        SequenceToSequence,
        CrossEntropy,
        Regression,
    )
}

__all__ = ["OBJECTIVES", "Joint", "Objective", "Task", "unit"]
