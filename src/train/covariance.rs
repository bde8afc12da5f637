//! How well a minimum is determined: the inverse of the Hessian there.
//!
//! For an objective that is minus a log posterior density, the inverse Hessian `H⁻¹` at the
//! minimum is the covariance of the normal density with the same peak and curvature (Laplace's
//! approximation; Gelman et al., Bayesian Data Analysis, 3rd edition, section 4.1). Matrices are
//! dense, `[n, n]` row by row: there is one row for each fitted number.

use thiserror::Error;

/// The inverse of a Hessian.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    n: usize,
    matrix: Vec<f64>,
}

/// The Hessian is not positive definite: in some direction the objective does not rise, so the
/// point is no minimum or the data do not determine it.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("the Hessian is not positive definite: pivot {pivot} is {value:e}")]
pub struct NotPositiveDefinite {
    /// The first coordinate that the earlier ones leave undetermined.
    pub pivot: usize,
    /// What Cholesky's method found there: not positive, or not a number.
    pub value: f64,
}

impl Covariance {
    /// The inverse of `hessian` (`[n, n]`), by Cholesky's method on the matrix scaled to a unit
    /// diagonal; only its symmetric part `(H + Hᵀ)/2` counts. The relative error is bounded by
    /// about `n·ε` times the condition number of the scaled matrix; a pivot below `n·ε` of it
    /// counts as zero. Source: Golub and Van Loan, Matrix Computations, 4th edition, algorithm
    /// 4.2.1 and section 3.5.2.
    ///
    /// # Panics
    /// If `hessian` does not have `n²` entries.
    pub fn from_hessian(hessian: &[f64], n: usize) -> Result<Covariance, NotPositiveDefinite> {
        assert_eq!(hessian.len(), n * n, "a Hessian of {n} parameters has {n}² entries");
        let mut scale = Vec::with_capacity(n);
        for pivot in 0..n {
            let value = hessian[pivot * n + pivot];
            if !value.is_finite() || value <= 0.0 {
                return Err(NotPositiveDefinite { pivot, value });
            }
            scale.push(1.0 / value.sqrt());
        }
        let scaled =
            |i: usize, j: usize| 0.5 * (hessian[i * n + j] + hessian[j * n + i]) * scale[i] * scale[j];
        // L, lower triangular, with L Lᵀ the scaled Hessian.
        let mut l = vec![0.0; n * n];
        for j in 0..n {
            let value = scaled(j, j) - (0..j).map(|k| l[j * n + k] * l[j * n + k]).sum::<f64>();
            if value.is_nan() || value <= n as f64 * f64::EPSILON {
                return Err(NotPositiveDefinite { pivot: j, value: value / (scale[j] * scale[j]) });
            }
            l[j * n + j] = value.sqrt();
            for i in j + 1..n {
                let sum: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
                l[i * n + j] = (scaled(i, j) - sum) / l[j * n + j];
            }
        }
        // M = L⁻¹, column by column; then H⁻¹ = S MᵀM S with S the scaling.
        let mut m = vec![0.0; n * n];
        for j in 0..n {
            m[j * n + j] = 1.0 / l[j * n + j];
            for i in j + 1..n {
                let sum: f64 = (j..i).map(|k| l[i * n + k] * m[k * n + j]).sum();
                m[i * n + j] = -sum / l[i * n + i];
            }
        }
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let sum: f64 = (i..n).map(|k| m[k * n + i] * m[k * n + j]).sum();
                matrix[i * n + j] = sum * scale[i] * scale[j];
                matrix[j * n + i] = matrix[i * n + j];
            }
        }
        Ok(Covariance { n, matrix })
    }

    /// Number of parameters.
    pub fn dim(&self) -> usize {
        self.n
    }

    /// The entries, `[n, n]` row by row.
    pub fn matrix(&self) -> &[f64] {
        &self.matrix
    }

    /// Square roots of the diagonal, `[n]`.
    pub fn standard_errors(&self) -> Vec<f64> {
        (0..self.n).map(|i| self.matrix[i * self.n + i].sqrt()).collect()
    }

    /// The standard error of a quantity with this gradient (`[n]`) in the same coordinates:
    /// `√(gᵀ H⁻¹ g)`, to first order (the delta method). Carries an error found in free space to
    /// the scale a parameter is declared on.
    pub fn standard_error_of(&self, gradient: &[f64]) -> f64 {
        let row = |i: usize| &self.matrix[i * self.n..(i + 1) * self.n];
        let product = |i: usize| row(i).iter().zip(gradient).map(|(h, g)| h * g).sum::<f64>();
        gradient.iter().enumerate().map(|(i, g)| g * product(i)).sum::<f64>().sqrt()
    }

    /// The correlation of parameters `i` and `j`, in [−1, 1].
    pub fn correlation(&self, i: usize, j: usize) -> f64 {
        let at = |i: usize, j: usize| self.matrix[i * self.n + j];
        at(i, j) / (at(i, i) * at(j, j)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_of_a_small_matrix() {
        // [[4, 2], [2, 3]]⁻¹ = [[3, -2], [-2, 4]] / 8, by Cramer's rule.
        let covariance = Covariance::from_hessian(&[4.0, 2.0, 2.0, 3.0], 2).unwrap();
        for (found, expected) in covariance.matrix().iter().zip([0.375, -0.25, -0.25, 0.5]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        // Of x + y: 0.375 − 2·0.25 + 0.5.
        assert!((covariance.standard_error_of(&[1.0, 1.0]) - 0.375_f64.sqrt()).abs() < 1e-15);
        assert!((covariance.correlation(0, 1) + 0.25 / (0.375_f64 * 0.5).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn badly_scaled_parameters_do_not_matter() {
        // D H D with H the 5 by 5 Hilbert matrix plus 1, whose inverse is checked by the product.
        let n = 5;
        let d = [1.0, 1e6, 1e-6, 1e3, 1e-3];
        let hilbert = |i: usize, j: usize| 1.0 / (i + j + 1) as f64 + f64::from(u8::from(i == j));
        let h: Vec<f64> = (0..n * n).map(|at| hilbert(at / n, at % n) * d[at / n] * d[at % n]).collect();
        let covariance = Covariance::from_hessian(&h, n).unwrap();
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..n).map(|k| covariance.matrix()[i * n + k] * h[k * n + j]).sum();
                let expected = f64::from(u8::from(i == j));
                // Rounding, in units of the scales that the entry carries.
                assert!((product - expected).abs() <= 1e-14 * (d[j] / d[i]).max(1.0), "{i} {j} {product}");
            }
        }
    }

    #[test]
    fn a_saddle_and_a_flat_direction_are_refused() {
        let saddle = Covariance::from_hessian(&[1.0, 2.0, 2.0, 1.0], 2);
        assert_eq!(saddle, Err(NotPositiveDefinite { pivot: 1, value: -3.0 }));
        let flat = Covariance::from_hessian(&[1.0, 1.0, 1.0, 1.0], 2);
        assert!(matches!(flat, Err(NotPositiveDefinite { pivot: 1, .. })));
        assert!(Covariance::from_hessian(&[f64::NAN], 1).is_err());
    }
}
