"""The spectral engine as a scikit-learn transformer, for arrays of any features."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import Interval, InvalidParameterError
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from stepwell.engines import CentredMoments, Choice, solve

F64 = NDArray[np.float64]
FEWEST = 2
"""Pairs that anything can be solved from."""


class SpectralEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Directions in which paired rows agree, in closed form.

    A bare ``X`` has no pairs, so each row is paired with itself under independent noise:
    every feature is masked (set to its mean) with probability ``mask``, twice. What can
    be told from the other features survives; what stands alone does not. Say what *your*
    pairs are with ``pairs``: that is where this method's strength lies.

    Parameters
    ----------
    n_components : int
        Dimensions of the embedding, at most, from 1; fewer come out of fewer features, or where
        partners share less. No share of variance, as of PCA: there is none to share out.
    rho : float
        Ridge, from 0, relative to the mean variance of features: scale them alike first if their
        units have nothing to do with each other; see :class:`~stepwell.engines.Choice`.
    alpha : float
        Power of the eigenvalues that weights the modes, from 0.
    mask : float
        Probability that a feature is masked in a view of a row of a bare X, from 0 and below 1.
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
        self._check_parameters()
        rows = validate_data(self, X, dtype=np.float64)
        if len(rows) < FEWEST:
            raise ValueError(
                f"Expected at least {FEWEST} samples (pairs of rows) to fit on, found n_samples = "
                f"{len(rows)}: partial_fit takes them one by one."
            )
        self._forget()
        return self._add(rows, pairs)

    def partial_fit(self, X: ArrayLike, y: Any = None, *, pairs: ArrayLike | None = None) -> Self:
        """Add rows and their partners, one or more.

        With ``pairs``, the result is that of one fit on all of them, in whatever batches. The
        masked views of a bare X are made batch by batch; what is masked is set to the mean of all
        rows so far. Before there are two pairs in all, nothing can be transformed.
        """
        self._check_parameters()
        first = not hasattr(self, "n_pairs_")
        return self._add(validate_data(self, X, dtype=np.float64, reset=first), pairs)

    def _check_parameters(self) -> None:
        self._validate_params()
        for name, value in self.get_params(deep=False).items():
            if isinstance(value, bool | np.bool_):  # whole numbers, to Python
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be a number. Got "
                    f"{value!r} instead."
                )

    def _forget(self) -> None:
        learned = ("components_", "eigenvalues_", "mean_", "n_pairs_", "_n_features_out")
        for name in (*learned, "_moments", "_middle", "_rows", "_rng"):
            if hasattr(self, name):
                delattr(self, name)

    def _add(self, rows: F64, pairs: ArrayLike | None) -> Self:
        one, two = self._views(rows, pairs)
        moments = getattr(self, "_moments", None)
        if moments is None:
            moments = CentredMoments.of(one, two, one[0].copy())
        else:
            moments += CentredMoments.of(one, two, moments.shift)
        if moments.pairs >= FEWEST:
            self._solve(moments)
        self._moments, self.n_pairs_ = moments, moments.pairs
        return self

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
        mean = self._mean_of_all(rows)
        one, two = (np.where(rng.random_sample(rows.shape) < self.mask, mean, rows) for _ in "ab")
        return one, two

    def _mean_of_all(self, rows: F64) -> F64:
        """(d,) of the rows of bare X so far, with these: a batch of one has none of its own."""
        known = getattr(self, "_rows", 0)
        middle = self._middle if known else rows[0]
        self._rows = known + len(rows)
        self._middle: F64 = middle + (rows - middle).sum(0) / self._rows
        return self._middle

    def _solve(self, moments: CentredMoments) -> None:
        # At least as many as half of which n_components are: a scikit-learn user who asks
        # for k components of a small X expects k.
        wanted = int(self.n_components)
        law = moments.law(max(moments.pairs, 2 * wanted))
        mu = law.mu
        modes = solve(law, Choice(min(wanted, len(mu)), float(self.rho), float(self.alpha)))
        if not len(modes.values):  # nothing is shared: something has to be given back
            modes = type(modes)(np.ones(1), np.eye(len(mu), 1), mu)
        self.mean_, self.eigenvalues_ = mu, modes.values
        self.components_ = (modes.vectors * modes.values**self.alpha).T
        self._n_features_out = len(modes.values)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "components_")

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """(n, d) → (n, k)."""
        if hasattr(self, "n_pairs_") and self.n_pairs_ < FEWEST:
            raise NotFittedError(
                f"Expected at least {FEWEST} pairs to solve from, found {self.n_pairs_}: add more "
                f"with partial_fit, or call fit."
            )
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        embedded: NDArray[np.float64] = (rows - self.mean_) @ self.components_.T
        return embedded
