//! Medians and percentiles of a few measurements. Pure.

/// Numbers in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sorted(Vec<f64>);

impl FromIterator<f64> for Sorted {
    fn from_iter<T: IntoIterator<Item = f64>>(numbers: T) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }
}

impl Sorted {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The middle one, or the mean of the two in the middle. `NaN` of nothing.
    pub(super) fn median(&self) -> f64 {
        let half = self.0.len() / 2;
        let upper = self.at(half);
        if self.0.len() % 2 == 1 {
            upper
        } else {
            f64::midpoint(self.at(half.wrapping_sub(1)), upper)
        }
    }

    /// The least one that `percent` of all do not exceed (nearest rank). `NaN` of nothing.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        self.at((self.0.len() * percent).div_ceil(100).saturating_sub(1))
    }

    pub(super) fn least(&self) -> f64 {
        self.at(0)
    }

    pub(super) fn greatest(&self) -> f64 {
        self.at(self.0.len().wrapping_sub(1))
    }

    fn at(&self, index: usize) -> f64 {
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(numbers: &[f64]) -> Sorted {
        numbers.iter().copied().collect()
    }

    #[test]
    fn medians() {
        let cases: [(&[f64], f64); 4] = [
            (&[3.0], 3.0),
            (&[4.0, 1.0], 2.5),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 3.0, 2.0], 2.5),
        ];
        for (numbers, median) in cases {
            assert!((sorted(numbers).median() - median).abs() < 1e-9, "{numbers:?}");
        }
        assert!(sorted(&[]).median().is_nan());
    }

    #[test]
    fn percentiles_are_measurements() {
        let hundred: Sorted = (1..=100).rev().map(f64::from).collect();
        for (percent, value) in [(1, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)] {
            assert!((hundred.percentile(percent) - value).abs() < 1e-9, "{percent}");
        }
        let few = sorted(&[5.0, 7.0]);
        assert!((few.percentile(99) - 7.0).abs() < 1e-9);
        assert!((few.least() - 5.0).abs() < 1e-9 && (few.greatest() - 7.0).abs() < 1e-9);
        assert!(sorted(&[]).percentile(99).is_nan());
    }
}
