//! An axis: the map from numbers to positions, with ticks at round numbers.

/// A range of numbers with its ticks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) ticks: Vec<f64>,
}

impl Axis {
    /// The axis that contains all finite values and begins and ends at round numbers; `None` if no value is finite.
    pub(crate) fn around(values: impl IntoIterator<Item = f64>, most_ticks: usize) -> Option<Self> {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        // A single value needs room on both sides.
        let room = if high - low > 1e-9 * high.abs() { 0.0 } else { (high.abs() / 10.0).max(1e-3) };
        let (low, high) = (low - room, high + room);
        let step = round_step((high / 2.0 - low / 2.0) * 2.0, most_ticks);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        if !(first * step).is_finite() || !(last * step).is_finite() || !step.is_normal() {
            return Some(Self { low, high, ticks: vec![low, high] });
        }
        let ticks = (0..=(last - first) as usize).map(|tick| (first + tick as f64) * step).collect();
        Some(Self { low: first * step, high: last * step, ticks })
    }

    /// The axis of the whole numbers 1 to `last`.
    pub(crate) fn counting(last: usize, most_ticks: usize) -> Self {
        let step = (round_step(last as f64, most_ticks) as usize).max(1);
        let mut ticks: Vec<f64> = (1..=last / step).map(|tick| (tick * step) as f64).collect();
        if step > 1 && ticks.first().is_none_or(|&first| first > 1.0) {
            ticks.insert(0, 1.0);
        }
        let (low, high) = if last > 1 { (1.0, last as f64) } else { (0.5, 1.5) };
        Self { low, high, ticks }
    }

    /// The axis from 0 to 1.
    pub(crate) fn unit() -> Self {
        Self { low: 0.0, high: 1.0, ticks: (0..=5).map(|tick| f64::from(tick) / 5.0).collect() }
    }

    /// The position of a value between both ends, 0 to 1.
    pub(crate) fn fraction(&self, value: f64) -> f32 {
        // Halves, since the difference of the largest numbers is not finite.
        ((value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)) as f32
    }

    /// The ticks as text, with as many digits as distinguish them.
    pub(crate) fn labels(&self, is_percent: bool) -> Vec<String> {
        let scale = if is_percent { 100.0 } else { 1.0 };
        let step =
            self.ticks.windows(2).map(|pair| scale * (pair[1] - pair[0])).fold(f64::INFINITY, f64::min);
        let largest = self.ticks.iter().fold(0.0, |largest: f64, tick| largest.max(tick.abs()));
        let digits = (-step.log10()).ceil();
        let label = |&tick: &f64| {
            if largest >= 1e5 || digits > 6.0 {
                return format!("{tick:.1e}");
            }
            // A single tick needs no digits.
            if self.ticks.len() < 2 {
                return tick.to_string();
            }
            // A step of 0.25 needs one digit more than its logarithm says.
            let digits = (0..=7).find(|&digits| {
                let scaled = step * 10_f64.powi(digits);
                (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0) && scaled.round() >= 1.0
            });
            let digits = digits.unwrap_or(7) as usize;
            format!("{:.digits$}{}", scale * tick + 0.0, if is_percent { "%" } else { "" })
        };
        self.ticks.iter().map(label).collect()
    }
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that divides a length into at most `most` steps.
fn round_step(length: f64, most: usize) -> f64 {
    let least = length / most.max(1) as f64;
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|&step| step >= least * 0.999)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_contain_all_values() {
        let axis = Axis::around([0.0461, f64::NAN, 0.2539], 5).unwrap();
        assert_eq!((axis.low, axis.high), (0.0, 0.30000000000000004));
        assert_eq!(axis.labels(false), ["0.00", "0.05", "0.10", "0.15", "0.20", "0.25", "0.30"]);
        let axis = Axis::around([0.9252, 0.9847], 5).unwrap();
        assert_eq!(axis.labels(true), ["92%", "94%", "96%", "98%", "100%"]);
        assert_eq!(Axis::around([f64::NAN, f64::INFINITY], 5), None);
        let axis = Axis::around([1.0], 4).unwrap();
        assert!(axis.low < 1.0 && axis.high > 1.0 && axis.ticks.len() < 8, "{axis:?}");
        let axis = Axis::around([0.97, 0.9725], 4).unwrap();
        assert_eq!(axis.labels(true), ["97.0%", "97.1%", "97.2%", "97.3%"]);
    }

    #[test]
    fn extreme_values_have_few_ticks_and_short_labels() {
        for values in
            [[1e300, 1e305], [-1e308, 1e308], [1e-300, 2e-300], [0.0, 0.0], [5e-324, 1e-323], [f64::MAX; 2]]
        {
            let axis = Axis::around(values, 5).unwrap();
            assert!(axis.ticks.len() <= 9, "{axis:?}");
            assert!(values.iter().all(|&value| (-0.01..=1.01).contains(&axis.fraction(value))), "{axis:?}");
            assert!(axis.labels(false).iter().all(|label| label.len() < 10), "{:?}", axis.labels(false));
        }
    }

    #[test]
    fn an_axis_of_epochs_has_whole_ticks() {
        assert_eq!(Axis::counting(1, 6), Axis { low: 0.5, high: 1.5, ticks: vec![1.0] });
        assert_eq!(Axis::counting(1, 6).labels(false), ["1"]);
        assert_eq!(Axis::counting(5, 6).ticks, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(Axis::counting(20, 6).ticks, [1.0, 5.0, 10.0, 15.0, 20.0]);
        assert!(Axis::counting(12_345, 6).ticks.len() <= 7);
        assert_eq!(Axis::counting(20, 6).labels(false), ["1", "5", "10", "15", "20"]);
    }
}
