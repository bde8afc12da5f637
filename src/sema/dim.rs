//! Sizes of axes before they are numbers: polynomials with integer coefficients in named sizes.
//!
//! A name stands for a size that a data file fixes or for the variable of a comprehension. Equal
//! polynomials are equal values, so comparing two sizes is comparing two [`Dim`]s.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A named unknown size. Two symbols are one exactly if their ids are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    /// Which one.
    pub id: u32,
    /// As messages show it.
    pub name: Arc<str>,
}

/// A polynomial: its number, and coefficient by monomial, a monomial being its sorted factors. Zero
/// coefficients are left out, so that most sizes, which are numbers, hold no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim {
    number: i64,
    terms: BTreeMap<Vec<Symbol>, i64>,
}

impl Dim {
    /// The number `n`.
    pub fn number(n: i64) -> Dim {
        Dim { number: n, terms: BTreeMap::new() }
    }

    /// The unknown `symbol`.
    pub fn symbol(symbol: Symbol) -> Dim {
        Dim { number: 0, terms: BTreeMap::from([(vec![symbol], 1)]) }
    }

    fn add_term(&mut self, monomial: &[Symbol], coefficient: i64) {
        if monomial.is_empty() {
            self.number = self.number.saturating_add(coefficient);
            return;
        }
        let sum = self.terms.get(monomial).copied().unwrap_or(0).saturating_add(coefficient);
        if sum == 0 {
            self.terms.remove(monomial);
        } else {
            self.terms.insert(monomial.to_vec(), sum);
        }
    }

    /// `self + other`
    pub fn plus(&self, other: &Dim) -> Dim {
        let mut sum = self.clone();
        for (monomial, coefficient) in other.terms() {
            sum.add_term(monomial, coefficient);
        }
        sum
    }

    /// `factor * self`
    pub fn times_number(&self, factor: i64) -> Dim {
        let mut product = Dim::default();
        for (monomial, coefficient) in self.terms() {
            product.add_term(monomial, coefficient.saturating_mul(factor));
        }
        product
    }

    /// `self - other`
    pub fn minus(&self, other: &Dim) -> Dim {
        self.plus(&other.times_number(-1))
    }

    /// `self * other`
    pub fn times(&self, other: &Dim) -> Dim {
        let mut product = Dim::default();
        for (left, a) in self.terms() {
            for (right, b) in other.terms() {
                let mut monomial = [left, right].concat();
                monomial.sort();
                product.add_term(&monomial, a.saturating_mul(b));
            }
        }
        product
    }

    /// `self / n` if every coefficient is divisible by `n`.
    pub fn divided(&self, n: i64) -> Option<Dim> {
        // `i64::MIN / -1` is no `i64`.
        let quotient =
            |coefficient: i64| coefficient.checked_rem(n).filter(|rest| *rest == 0).map(|_| coefficient / n);
        let terms = self
            .terms
            .iter()
            .map(|(monomial, coefficient)| Some((monomial.clone(), quotient(*coefficient)?)));
        Some(Dim { number: quotient(self.number)?, terms: terms.collect::<Option<_>>()? })
    }

    /// The number it is, if it is one.
    pub fn as_number(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.number)
    }

    /// The symbol it is, if it is just one.
    pub fn as_symbol(&self) -> Option<&Symbol> {
        let mut terms = self.terms();
        match (terms.next(), terms.next()) {
            (Some(([symbol], 1)), None) => Some(symbol),
            _ => None,
        }
    }

    /// Its terms: factors, coefficient; those with factors first, a number last.
    pub fn terms(&self) -> impl Iterator<Item = (&[Symbol], i64)> {
        let number = (self.number != 0).then_some((&[][..], self.number));
        self.terms.iter().map(|(factors, coefficient)| (factors.as_slice(), *coefficient)).chain(number)
    }

    /// The symbols in it, each once.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = self.terms.keys().flatten().cloned().collect();
        symbols.sort();
        symbols.dedup();
        symbols
    }

    /// `(c, rest)` if this is `c*symbol + rest` with a number `c` and a `rest` without `symbol`.
    pub fn linear_in(&self, symbol: &Symbol) -> Option<(i64, Dim)> {
        let coefficient = *self.terms.get(std::slice::from_ref(symbol))?;
        let rest = self.minus(&Dim::symbol(symbol.clone()).times_number(coefficient));
        (!rest.terms.keys().flatten().any(|other| other == symbol)).then_some((coefficient, rest))
    }

    /// The polynomial in which symbols are what `found` says.
    pub fn substituted(&self, found: &dyn Fn(&Symbol) -> Option<Dim>) -> Dim {
        let mut sum = Dim::number(self.number);
        for (monomial, coefficient) in &self.terms {
            let mut term = Dim::number(*coefficient);
            for symbol in monomial {
                term = term.times(&found(symbol).unwrap_or_else(|| Dim::symbol(symbol.clone())));
            }
            sum = sum.plus(&term);
        }
        sum
    }

    /// Its value where `known` says what the symbols are; `None` if one is not known.
    pub fn value(&self, known: &dyn Fn(&Symbol) -> Option<i64>) -> Option<i64> {
        let mut sum = self.number;
        for (monomial, coefficient) in &self.terms {
            let mut term = *coefficient;
            for symbol in monomial {
                term = term.saturating_mul(known(symbol)?);
            }
            sum = sum.saturating_add(term);
        }
        Some(sum)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.as_number() {
            return write!(f, "{number}");
        }
        for (position, (monomial, coefficient)) in self.terms().enumerate() {
            let sign = match (position, coefficient < 0) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            };
            f.write_str(sign)?;
            let size = coefficient.unsigned_abs();
            let names: Vec<&str> = monomial.iter().map(|symbol| &*symbol.name).collect();
            match (size, names.is_empty()) {
                (size, true) => write!(f, "{size}")?,
                (1, false) => f.write_str(&names.join("*"))?,
                (size, false) => write!(f, "{size}*{}", names.join("*"))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(id: u32, name: &str) -> Dim {
        Dim::symbol(Symbol { id, name: name.into() })
    }

    #[test]
    fn equal_polynomials_are_equal_and_print_with_the_number_last() {
        let (c, one) = (symbol(0, "C"), Dim::number(1));
        let left = c.times_number(2).plus(&one);
        let right = one.plus(&c).plus(&c);
        assert_eq!(left, right);
        assert_eq!(left.to_string(), "2*C + 1");
        assert_eq!(left.minus(&right).as_number(), Some(0));
    }

    #[test]
    fn a_symbol_is_split_off_where_it_is_linear_and_replaced_everywhere() {
        let (c, h) = (symbol(0, "C"), symbol(1, "H"));
        let one = Symbol { id: 0, name: "C".into() };
        let dim = c.times_number(3).plus(&h).plus(&Dim::number(1));
        assert_eq!(dim.linear_in(&one), Some((3, h.plus(&Dim::number(1)))));
        assert_eq!(dim.times(&c).linear_in(&one), None);
        let found = |symbol: &Symbol| (symbol.id == 0).then(|| h.times_number(2));
        assert_eq!(dim.substituted(&found), h.times_number(7).plus(&Dim::number(1)));
    }

    #[test]
    fn division_is_exact_or_refused() {
        let h = symbol(0, "H");
        assert_eq!(h.times_number(4).divided(2), Some(h.times_number(2)));
        assert_eq!(h.divided(2), None);
        assert_eq!(h.divided(0), None);
    }
}
