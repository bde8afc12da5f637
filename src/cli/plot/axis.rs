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
    /// Ticks without a word between them.
    pub minor: Vec<f64>,
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
        Axis { lo, hi, ticks, words, minor: Vec::new(), exponent }
    }

    /// The axis for the logarithms, to base 10, of numbers whose logarithms lie between `lo` and `hi`: a
    /// tick at each power of ten, or at every few if there are more than ten; between few powers the other
    /// round numbers without words.
    pub fn powers(lo: f64, hi: f64) -> Axis {
        let (lo, hi) = if lo > hi { (0.0, 1.0) } else { (lo, hi) };
        // Room on both sides, and one power at least.
        let room = f64::max(0.04 * (hi - lo), 0.05);
        let (mut lo, mut hi) = (lo - room, hi + room);
        if hi.floor() - lo.ceil() < 1.0 {
            (lo, hi) = if lo - lo.floor() < hi.ceil() - hi { (lo.floor(), hi) } else { (lo, hi.ceil()) };
        }
        let (first, last) = (lo.ceil() as i64, hi.floor() as i64);
        let step = 1 + (last - first) / 10;
        let powers = (first..=last).filter(|power| power % step == 0);
        let ticks: Vec<f64> = powers.map(|power| power as f64).collect();
        let words = ticks.iter().map(|tick| format!("10{}", raised(*tick as i64))).collect();
        let between =
            (first - 1..=last).flat_map(|power| (2..10).map(move |k| power as f64 + f64::from(k).log10()));
        let minor = between.filter(|at| last - first < 5 && (lo..=hi).contains(at)).collect();
        Axis { lo, hi, ticks, words, minor, exponent: 0 }
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
        format!("×10{}", raised(i64::from(self.exponent)))
    }
}

/// A power as it stands above the line.
fn raised(power: i64) -> String {
    let digit = |c: char| c.to_digit(10).and_then(|d| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(d as usize));
    power.to_string().chars().map(|c| digit(c).unwrap_or('⁻')).collect()
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
        let powers = Axis::powers(2.8, 5.4);
        assert_eq!((powers.words.join(" ").as_str(), powers.minor.len()), ("10³ 10⁴ 10⁵", 5 + 8 + 8 + 2));
        assert_eq!(Axis::powers(-12.5, -3.7).words.len(), 9);
        assert_eq!(Axis::powers(3.2, 3.4).words, ["10³"]);
        assert_eq!(Axis::new(5.0, 5.0, 0.0, 5).words, ["4.6", "4.8", "5.0", "5.2", "5.4"]);
    }
}
