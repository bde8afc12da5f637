//! What steps keep for the way back.
//!
//! A compiled step puts out all that its reverse would else compute again ([`ad::keep`](crate::ad::keep)),
//! for all lanes of an attempt at once. Attempts are stored as they are made: nothing is moved when some
//! lanes accept and others do not. On the way back the steps in a row of the trace are those of one
//! attempt, mostly, and where they are not, the lanes are gathered from theirs.

use crate::backend::wide::widely;
use crate::plan::unit::Element;

/// The number of an attempt that is not kept.
pub(super) const NOT_KEPT: u32 = u32::MAX;

/// What the attempts of a solve keep.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    /// `[attempts, len, width]`
    numbers: Lines<T>,
    /// Of an attempt, in all lanes.
    size: usize,
    n_attempts: usize,
    /// How many numbers, at most.
    most: usize,
}

/// Numbers that begin where a cache line does, as wide code likes them.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    numbers: Vec<T>,
}

impl<T> Default for Lines<T> {
    fn default() -> Lines<T> {
        Lines { numbers: Vec::new() }
    }
}

impl<T: Element> Lines<T> {
    const LINE: usize = 64 / size_of::<T>();

    /// Makes sure that there are `len` numbers. Where there are fewer, there will be `ahead` at least, and
    /// those that there are move.
    fn reserve(&mut self, len: usize, ahead: usize) {
        if self.numbers.len() < len + Self::LINE {
            let mut more = vec![T::default(); len.max(ahead) + Self::LINE];
            if let Some(known) = self.numbers.len().checked_sub(Self::LINE) {
                let (from, to) = (self.start(), Lines::start_of(&more));
                more[to..to + known].copy_from_slice(&self.numbers[from..from + known]);
            }
            self.numbers = more;
        }
    }

    fn start_of(numbers: &[T]) -> usize {
        numbers.as_ptr().align_offset(64).min(Self::LINE)
    }

    fn start(&self) -> usize {
        Lines::start_of(&self.numbers)
    }

    /// `len` numbers, of which nothing is known.
    pub fn of(&mut self, len: usize) -> &mut [T] {
        self.reserve(len, len);
        let start = self.start();
        &mut self.numbers[start..start + len]
    }
}

impl<T: Element> Kept<T> {
    /// Room for at most `bytes` bytes. The steps of attempts for which there is none are computed again
    /// on the way back.
    pub fn within(bytes: usize) -> Kept<T> {
        Kept { numbers: Lines::default(), size: 0, n_attempts: 0, most: bytes / size_of::<T>() }
    }

    /// Room for how many bytes there is.
    pub fn bytes(&self) -> usize {
        self.most * size_of::<T>()
    }

    /// Nothing yet; a step keeps `size` numbers in all lanes.
    pub fn start(&mut self, size: usize) {
        (self.size, self.n_attempts) = (size, 0);
    }

    /// Where the next attempt puts what it keeps; `None` if there is no room for it.
    pub fn place(&mut self) -> Option<&mut [T]> {
        let (from, until) = (self.n_attempts * self.size, (self.n_attempts + 1) * self.size);
        let fits = self.size > 0 && until <= self.most;
        fits.then(|| {
            self.numbers.reserve(until, (2 * from).min(self.most));
            let start = self.numbers.start();
            &mut self.numbers.numbers[start + from..start + until]
        })
    }

    /// The attempt last made is wanted: its number.
    pub fn take(&mut self) -> u32 {
        if self.place().is_none() {
            return NOT_KEPT;
        }
        self.n_attempts += 1;
        u32::try_from(self.n_attempts - 1).expect("fewer attempts than bytes")
    }

    /// What the steps keep that were made in `attempts`, `[width]`, all of which are kept: as it is
    /// stored if they are one attempt's, else gathered in `scratch`.
    pub fn of<'k>(&'k self, attempts: &[u32], scratch: &'k mut Lines<T>) -> &'k [T] {
        let start = self.numbers.start();
        let attempt = |number: u32| &self.numbers.numbers[start + number as usize * self.size..][..self.size];
        let (first, width) = (attempts[0], attempts.len());
        if attempts.iter().all(|number| *number == first) {
            return attempt(first);
        }
        let gathered = scratch.of(self.size);
        gathered.copy_from_slice(attempt(first));
        for lane in 1..width {
            let number = attempts[lane];
            // All lanes of an attempt at once.
            if number != first && !attempts[..lane].contains(&number) {
                match width {
                    8 => blend::<T, 8>(gathered, attempt(number), |lane| attempts[lane] == number),
                    16 => blend::<T, 16>(gathered, attempt(number), |lane| attempts[lane] == number),
                    width => crate::bug!("blocks of {width} lanes"),
                }
            }
        }
        gathered
    }
}

/// Replaces the lanes of `to: [len, B]` for which `which` holds by those of `from`.
fn blend<T: Element, const B: usize>(to: &mut [T], from: &[T], which: impl Fn(usize) -> bool) {
    let which: [bool; B] = std::array::from_fn(which);
    let (to, from) = (to.as_chunks_mut::<B>().0, from.as_chunks::<B>().0);
    widely(
        #[inline(always)]
        || {
            for (to, from) in to.iter_mut().zip(from) {
                for lane in 0..B {
                    to[lane] = if which[lane] { from[lane] } else { to[lane] };
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attempts of two numbers in each of 16 lanes: `10·attempt + number + lane/100`.
    fn attempt(kept: &mut Kept<f64>) -> u32 {
        let number = kept.n_attempts;
        if let Some(place) = kept.place() {
            assert_eq!(place.as_ptr().align_offset(64), 0);
            for (at, place) in place.iter_mut().enumerate() {
                *place = (10 * number + at / 16) as f64 + (at % 16) as f64 / 100.0;
            }
        }
        kept.take()
    }

    #[test]
    fn lanes_are_gathered_from_their_attempts() {
        let (mut kept, mut scratch) = (Kept::within(4 * 32 * 8), Lines::default());
        for _ in 0..2 {
            kept.start(32);
            let numbers: Vec<u32> = (0..6).map(|_| attempt(&mut kept)).collect();
            assert_eq!(numbers, [0, 1, 2, 3, NOT_KEPT, NOT_KEPT]);
            let of_one = kept.of(&[2; 16], &mut scratch).to_vec();
            let mixed: Vec<u32> = (0..16).map(|lane| [3, 0, 3, 1][lane % 4]).collect();
            let gathered = kept.of(&mixed, &mut scratch);
            for at in 0..32 {
                let of = |number: u32| (10 * number as usize + at / 16) as f64 + (at % 16) as f64 / 100.0;
                assert_eq!((of_one[at], gathered[at]), (of(2), of(mixed[at % 16])));
            }
        }
    }

    /// A place that was not taken is that of the next attempt.
    #[test]
    fn what_nobody_accepts_is_written_over() {
        let mut kept = Kept::<f32>::within(1 << 20);
        kept.start(16);
        kept.place().expect("there is room").fill(1.0);
        kept.place().expect("there is room").fill(2.0);
        assert_eq!(kept.take(), 0);
        assert_eq!(kept.of(&[0; 16], &mut Lines::default()), [2.0; 16]);
    }
}
