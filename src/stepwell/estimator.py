"""The spectral engine as a scikit-learn transformer, for arrays of any features."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from stepwell.engines import Choice, Law, solve

FEWEST = 2
"""Pairs of rows that there is something to learn from."""
_SUMS = ("_square", "_cross", "_mean")


class SpectralEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Directions in which paired rows agree, in closed form.

    A bare ``X`` has no pairs, so each row is paired with itself under independent noise:
    every feature is masked (set to its mean) with probability ``mask``, twice. What can
    be told from the other features survives; what stands alone does not. Say what *your*
    pairs are with ``pairs``: that is where this method's strength lies.

    Parameters
    ----------
    n_components : int
        Dimensions of the embedding, at least 1; fewer come out of fewer features.
    rho : float
        Ridge, at least 0; see :class:`~stepwell.engines.Choice`.
    alpha : float
        Power of the eigenvalues that weights the modes, at least 0.
    mask : float
        Probability that a feature is masked in a view of a row of a bare X, in [0, 1).
    random_state : int, RandomState or None

    Attributes
    ----------
    components_ : (k, d)
    eigenvalues_ : (k,)
    mean_ : (d,)
    n_pairs_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from stepwell import SpectralEncoder
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> SpectralEncoder(n_components=3).fit_transform(X, pairs=X + 0.1).shape
    (200, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "rho": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "mask": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int = 64,
        *,
        rho: float = 0.5,
        alpha: float = 0.5,
        mask: float = 0.3,
        random_state: Any = 0,
    ) -> None:
        self.n_components = n_components
        self.rho = rho
        self.alpha = alpha
        self.mask = mask
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None, *, pairs: ArrayLike | None = None) -> Self:
        """Fit on rows and their partners.

        Parameters
        ----------
        X : (n, d)
        y : ignored
        pairs : (n, d), optional
            Row i is the partner of row i of X. None: masked views, as described above.
        """
        for name in (*_SUMS, "n_pairs_", "components_", "_rng"):
            if hasattr(self, name):
                delattr(self, name)
        self.partial_fit(X, y, pairs=pairs)
        if self.n_pairs_ < FEWEST:
            raise ValueError(
                f"Expected at least {FEWEST} samples (pairs of rows) to fit on, found n_samples = "
                f"{self.n_pairs_}: partial_fit takes them one by one."
            )
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None, *, pairs: ArrayLike | None = None) -> Self:
        """Add rows and their partners; from the second pair on there is something to transform by.

        With ``pairs``, the result is that of one fit on all of them. The masked views of a
        bare X are made batch by batch, with masks and means of each batch's own.
        """
        self._validate_params()
        first = not hasattr(self, "n_pairs_")
        rows = validate_data(self, X, dtype=np.float64, reset=first)
        one, two = self._views(rows, pairs)
        self._add(one, two)
        if self.n_pairs_ >= FEWEST:
            self._solve()
        return self

    def _add(self, one: NDArray, two: NDArray) -> None:
        """Add centred moments by the update of Chan, Golub and LeVeque (1983): about the mean of
        each batch, then moved to that of all. Sums about zero would cancel where features are far
        from it."""
        n = len(one)
        mean = (one.mean(0) + two.mean(0)) / 2
        one, two = one - mean, two - mean
        cross = one.T @ two
        square, cross = (one.T @ one + two.T @ two) / 2, (cross + cross.T) / 2
        if not hasattr(self, "n_pairs_"):
            self._square, self._cross, self._mean, self.n_pairs_ = square, cross, mean, n
            return
        before = self.n_pairs_
        apart = mean - self._mean
        moved = np.outer(apart, apart) * (before * n / (before + n))
        self._square += square + moved
        self._cross += cross + moved
        self._mean += apart * (n / (before + n))
        self.n_pairs_ += n

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "components_")

    def fit_transform(
        self, X: ArrayLike, y: Any = None, *, pairs: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Fit, then transform ``X``."""
        if y is not None and pairs is None and getattr(y, "ndim", 1) == 2:
            warnings.warn("y is ignored; partners of rows go into pairs=…", stacklevel=2)
        embedded: NDArray[np.float64] = self.fit(X, y, pairs=pairs).transform(X)
        return embedded

    def _views(self, rows: NDArray, pairs: ArrayLike | None) -> tuple[NDArray, NDArray]:
        if pairs is not None:
            partners = validate_data(self, pairs, dtype=np.float64, reset=False)
            if partners.shape != rows.shape:
                raise ValueError(
                    f"Expected a partner for each row, shape {rows.shape}; found "
                    f"{partners.shape}: pass one row of pairs per row of X."
                )
            return rows, partners
        if not hasattr(self, "_rng"):
            self._rng = check_random_state(self.random_state)
        rng = self._rng  # kept, or every batch would be masked alike
        mean = rows.mean(0)
        one, two = (np.where(rng.random_sample(rows.shape) < self.mask, mean, rows) for _ in "ab")
        return one, two

    def _solve(self) -> None:
        mu = self._mean
        law = Law(
            mu,
            self._cross / self.n_pairs_,
            self._square / self.n_pairs_,
            # At least as many as half of which n_components are: a scikit-learn user who asks
            # for k components of a small X expects k.
            max(self.n_pairs_, 2 * self.n_components),
        )
        modes = solve(law, Choice(min(self.n_components, len(mu)), self.rho, self.alpha))
        if not len(modes.values):  # nothing is shared: something has to be given back
            modes = type(modes)(np.ones(1), np.eye(len(mu), 1), mu)
        self.mean_, self.eigenvalues_ = mu, modes.values
        self.components_ = (modes.vectors * modes.values**self.alpha).T
        self._n_features_out = len(modes.values)

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """(n, d) → (n, k)."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        embedded: NDArray[np.float64] = (rows - self.mean_) @ self.components_.T
        return embedded
