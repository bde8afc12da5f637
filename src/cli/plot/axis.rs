//! An axis: the interval it covers, its ticks and their words.

/// An interval with ticks at round numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Left or lower end.
    pub lo: f64,
    /// Right or upper end.
    pub hi: f64,
    /// The ticks inside, ascending.
    pub ticks: Vec<f64>,
    /// A word for each tick.
    pub words: Vec<String>,
    /// The power of ten that the words leave out; 0 if none.
    pub exponent: i32,
}

impl Axis {
    /// The axis for numbers between `lo` and `hi`, widened by the share `padding` on both sides,
    /// with about `count` ticks. A single number gets room on both sides, and so does no number
    /// (`lo > hi`), which gives 0 to 1.
    pub fn new(lo: f64, hi: f64, padding: f64, count: usize) -> Axis {
        let (lo, hi) = if lo > hi { (0.0, 1.0) } else { (lo, hi) };
        let (lo, hi) = if hi - lo > 1e-12 * lo.abs().max(hi.abs()) {
            (lo - padding * (hi - lo), hi + padding * (hi - lo))
        } else {
            let room = if lo == 0.0 { 1.0 } else { 0.1 * lo.abs() };
            (lo - room, hi + room)
        };
        let step = nice_step((hi - lo) / count as f64);
        let first = (lo / step).ceil() as i64;
        let last = (hi / step).floor() as i64;
        let ticks: Vec<f64> = (first..=last).map(|k| k as f64 * step).collect();
        let largest = ticks.iter().fold(0.0, |max: f64, tick| max.max(tick.abs()));
        let magnitude = if largest > 0.0 { largest.log10().floor() as i32 } else { 0 };
        let exponent = if (-3..5).contains(&magnitude) { 0 } else { magnitude };
        let decimals = (exponent - (step.log10() + 1e-9).floor() as i32).max(0) as usize;
        let words = ticks.iter().map(|tick| word(tick / 10_f64.powi(exponent), decimals)).collect();
        Axis { lo, hi, ticks, words, exponent }
    }

    /// Where `value` lies between the ends, as a share of the whole.
    pub fn share(&self, value: f64) -> f64 {
        (value - self.lo) / (self.hi - self.lo)
    }

    /// `×10⁻⁶`, or nothing.
    pub fn factor(&self) -> String {
        if self.exponent == 0 {
            return String::new();
        }
        let digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
        let power = self.exponent.to_string();
        let raised = power.chars().map(|c| {
            let digit = c.to_digit(10).and_then(|d| digits.chars().nth(d as usize));
            digit.unwrap_or('⁻')
        });
        format!("×10{}", raised.collect::<String>())
    }
}

/// The number nearest to `step` among 1, 2 and 5 times a power of ten. Source: P. Heckbert, "Nice
/// numbers for graph labels", Graphics Gems, 1990.
fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let digit = step / power;
    let nice = match digit {
        d if d < 1.5 => 1.0,
        d if d < 3.5 => 2.0,
        d if d < 7.5 => 5.0,
        _ => 10.0,
    };
    nice * power
}

/// `value` with `decimals` digits after the point and a real minus sign.
fn word(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if zero { text.replace('-', "") } else { text.replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_their_words_short() {
        let axis = Axis::new(1900.0, 1920.0, 0.0, 5);
        assert_eq!(axis.words, ["1900", "1905", "1910", "1915", "1920"]);
        assert_eq!(
            Axis::new(-0.31, 0.32, 0.0, 6).words,
            ["−0.3", "−0.2", "−0.1", "0.0", "0.1", "0.2", "0.3"]
        );
        let small = Axis::new(0.0, 3.1e-7, 0.0, 6);
        assert_eq!((small.words[1].as_str(), small.factor().as_str()), ("0.5", "×10⁻⁷"));
        assert_eq!(Axis::new(5.0, 5.0, 0.0, 5).words, ["4.6", "4.8", "5.0", "5.2", "5.4"]);
    }
}
