"""The spectral engine: from the moments of pairs to an encoder, in closed form.

Γ v = λ (Σ + ρI) v, keep λ > 0, z = Λ^α Vᵀ(φ - μ). With α = ½ this is, up to a
rotation, the optimum of the spectral contrastive loss (HaoChen et al., NeurIPS 2021)
among maps linear in φ; docs/architecture.md says what it shares with VICReg and Barlow Twins.
Partly whitened features stand beside these modes (:mod:`~stepwell.engines.broad`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from array_api_compat import array_namespace

from stepwell.engines.broad import USES, Broad, Components
from stepwell.engines.moments import Law
from stepwell.engines.quantise import Quantiser
from stepwell.kit.linalg import fix_signs, ridge_of, symmetric_top, top_modes
from stepwell.kit.schema import Schema, Table, entries, number, whole

NOTHING = 1e-9
"""Eigenvalues up to here are 0 but for rounding: how many are kept must not hang on that."""


@dataclass(frozen=True)
class Choice:
    """What the label-free choice fixed.

    Attributes
    ----------
    k : int
        Dimensions of the embedding, at most.
    rho : float
        Ridge in units of mean variance x sqrt(d / units): the error of a sample
        covariance (Marchenko & Pastur 1967), so that one value serves every amount of
        data and every width.
    alpha : float
        Power of the eigenvalues that weights the modes: modes that vary more within pairs
        are noise to few labels. At ρ = ¼, 2 instead of 1 costs nothing on average of kNN
        where every example has a label, and is worth 2 to 4 points with 10 labels a class.
    """

    k: int = 512
    rho: float = 0.25
    alpha: float = 2.0


@dataclass(frozen=True, eq=False)
class Modes:
    """Solved modes, before weighting: one solve serves every α and every smaller k."""

    values: Any
    vectors: Any
    mu: Any


def noise_share(law: Law) -> float:
    """sqrt(d / units): relative error of a sample covariance of this size."""
    return float(np.sqrt(len(law.mu) / max(law.units, 1)))


def dimensions(wanted: int, units: int) -> int:
    """How many modes so many units can support: half of them, at most ``wanted``."""
    return max(1, min(wanted, units // 2))


def solve(law: Law, choice: Choice) -> Modes:
    """Modes of a pair law with positive eigenvalue, in the order of invariance."""
    k = dimensions(choice.k, law.units)
    values, vectors = top_modes(law.gamma, law.sigma, choice.rho * noise_share(law), k)
    kept = values > NOTHING
    values = np.sqrt(values[kept]) if law.squared else values[kept]
    return Modes(values, vectors[:, kept], law.mu)


def components(law: Law, choice: Choice) -> Components:
    """Principal components, with the ridge of the modes in their variances."""
    values, vectors = symmetric_top(law.sigma, dimensions(choice.k, law.units))
    level = ridge_of(law.sigma, choice.rho * noise_share(law))
    return Components(np.maximum(values, 0) + level, vectors)


def whitening(law: Law, choice: Choice, found: Components | None = None) -> Modes:
    """The control that knows no pairs: principal components, whitened with the same ridge.

    ``values`` are the share of each component's variance that is not ridge.
    """
    found = components(law, choice) if found is None else found
    level = ridge_of(law.sigma, choice.rho * noise_share(law))
    return Modes(1 - level / found.values, found.vectors / np.sqrt(found.values), law.mu)


def gradient_modes(law: Law, quantiser: Quantiser, k: int) -> Modes:
    """What plain gradient descent on the features would learn first: the top of Γ itself.

    Uncentred, in feature units, and not whitened (Simon et al., ICML 2023): for codes c the
    features are φ = m + s c, so Γ_φ = s² Γ_c + φ̄ φ̄ᵀ with the mean feature φ̄ = m + s μ. ``mu`` is
    the code of no feature at all: what is projected is Vᵀφ.
    """
    mean = np.asarray(quantiser.mean, np.float64) + quantiser.scale * law.mu
    gamma = law.gamma * quantiser.scale**2
    for row in range(len(mean)):  # a row at a time: nothing else as large is made
        gamma[row] += mean[row] * mean
    values, vectors = symmetric_top(gamma, dimensions(k, law.units))
    kept = values > 0
    nothing = -np.asarray(quantiser.mean, np.float64) / quantiser.scale
    return Modes(values[kept], fix_signs(vectors[:, kept]) * quantiser.scale, nothing)


def auto_law(codes: Any) -> Law:
    """Mean and covariance of single codes (n, d): what whitening needs."""
    codes = np.asarray(codes, np.float32)
    mu = codes.mean(0, dtype=np.float64)
    centred = codes - mu.astype(np.float32)
    sigma = (centred.T @ centred).astype(np.float64) / max(len(codes), 1)
    return Law(mu, sigma, sigma, len(codes))


def _share_known(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """A share of a cosine for what stands beside the modes."""
    if "broad" in arrays:
        entries({"share": number(0, 1)})(dict(settings))


def _of_length_one(z: Any) -> Any:
    """Rows of length 1, or 0 where they are."""
    xp = array_namespace(z)
    length = xp.sqrt(xp.sum(z * z, axis=1, keepdims=True))
    return z / xp.where(length > 0, length, xp.ones_like(length))


@dataclass(frozen=True, eq=False)
class SpectralMap:
    """Features to embedding: round, centre, project, weight, to unit length.

    Attributes
    ----------
    quantiser : Quantiser
    mu : (d,) float32
        Mean code.
    vectors : (d, k) float32
        Modes, weighted by Λ^α.
    values : (k,) float64
        Eigenvalues λ, descending.
    choice : Choice
    broad : (d, b) float32, optional
        Partly whitened features, which stand after the modes.
    share : float
        Of a cosine, that is theirs.
    """

    quantiser: Quantiser
    mu: Any
    vectors: Any
    values: Any
    choice: Choice
    broad: Any = None
    share: float = 0.0

    @classmethod
    def build(
        cls, quantiser: Quantiser, modes: Modes, choice: Choice, broad: Broad | None = None
    ) -> Self:
        """Weight the first k modes by Λ^α, and set partly whitened features beside them."""
        values = modes.values[: choice.k]
        vectors = modes.vectors[:, : choice.k] * values**choice.alpha
        mu, vectors = (each.astype(np.float32) for each in (modes.mu, vectors))
        found = cls(quantiser, mu, vectors, values, choice)
        if broad is None:
            return found
        return replace(found, broad=broad.vectors.astype(np.float32), share=broad.share)

    @property
    def width(self) -> int:
        """Dimensions of the embedding."""
        return int(self.vectors.shape[1]) + (0 if self.broad is None else self.broad.shape[1])

    @property
    def modes(self) -> int:
        """Of these the first, which have eigenvalues."""
        return len(self.values)

    def weighted(self, use: str | None) -> Self:
        """The same with the share of partly whitened features that suits a use: see
        :data:`~stepwell.engines.broad.USES`."""
        share = None if use is None else USES[use]
        return self if share is None or self.broad is None else replace(self, share=share)

    def asking(self, query: Any, use: str) -> Any:
        """(k + b,) embedding → what has products with embeddings that are the cosines of
        ``weighted(use)``."""
        share = self.weighted(use).share
        if share == self.share or not 0 < self.share < 1:
            return query
        asked = query * np.float32((1 - share) / (1 - self.share))
        asked[self.modes :] = query[self.modes :] * np.float32(share / self.share)
        return asked

    @property
    def takes(self) -> int:
        """Features that it maps."""
        return len(self.mu)

    def project(self, codes: Any) -> Any:
        """(n, d) int8 codes → (n, k) float32 along the modes, of whatever length."""
        xp = array_namespace(codes)
        return (xp.astype(codes, xp.float32) - self.mu) @ self.vectors

    def of_codes(self, codes: Any) -> Any:
        """(n, d) int8 codes → (n, k + b) float32 of unit length."""
        xp = array_namespace(codes)
        z = _of_length_one(self.project(codes))
        if self.broad is None:
            return z
        beside = _of_length_one((xp.astype(codes, xp.float32) - self.mu) @ self.broad)
        return xp.concat([(1 - self.share) ** 0.5 * z, self.share**0.5 * beside], axis=1)

    def __call__(self, features: Any) -> Any:
        """(n, d) features → (n, k + b) float32 of unit length."""
        return self.of_codes(self.quantiser(features))

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings and arrays."""
        settings, arrays = self.quantiser.state()
        settings |= {"k": self.choice.k, "rho": self.choice.rho, "alpha": self.choice.alpha}
        arrays = {"mean": arrays["mean"], "mu": self.mu, "vectors": self.vectors}
        arrays |= {"values": self.values}
        if self.broad is not None:
            settings, arrays = settings | {"share": self.share}, arrays | {"broad": self.broad}
        return settings, arrays

    schema: ClassVar[Schema] = Schema(
        {
            "scale": number(1e-30),
            "k": whole(1),
            "rho": number(0),
            "alpha": number(0, 100),
        },
        {
            "mean": Table("f", ("d",), -1e15, 1e15),
            "mu": Table("f", ("d",), -1e30, 1e30),
            "vectors": Table("f", ("d", "k"), -1e30, 1e30),
            "values": Table("f", ("k",)),
            "broad": Table("f", ("d", "b"), -1e30, 1e30, optional=True),
        },
        also=_share_known,
    )

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        choice = Choice(int(settings["k"]), float(settings["rho"]), float(settings["alpha"]))
        mu, vectors, values = (arrays[name] for name in ("mu", "vectors", "values"))
        found = cls(Quantiser.from_state(settings, arrays), mu, vectors, values, choice)
        if "broad" not in arrays:  # learned by an older version, or the gradient order
            return found
        return replace(found, broad=arrays["broad"], share=float(settings["share"]))
