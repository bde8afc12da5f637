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

/// A polynomial: coefficient by monomial, a monomial being its sorted factors. Zero coefficients
/// are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim {
    terms: BTreeMap<Vec<Symbol>, i64>,
}

impl Dim {
    /// The number `n`.
    pub fn number(n: i64) -> Dim {
        let mut dim = Dim::default();
        dim.add_term(Vec::new(), n);
        dim
    }

    /// The unknown `symbol`.
    pub fn symbol(symbol: Symbol) -> Dim {
        let mut dim = Dim::default();
        dim.add_term(vec![symbol], 1);
        dim
    }

    fn add_term(&mut self, monomial: Vec<Symbol>, coefficient: i64) {
        let sum = self.terms.get(&monomial).copied().unwrap_or(0).saturating_add(coefficient);
        if sum == 0 {
            self.terms.remove(&monomial);
        } else {
            self.terms.insert(monomial, sum);
        }
    }

    /// `self + other`
    pub fn plus(&self, other: &Dim) -> Dim {
        let mut sum = self.clone();
        for (monomial, coefficient) in &other.terms {
            sum.add_term(monomial.clone(), *coefficient);
        }
        sum
    }

    /// `factor * self`
    pub fn times_number(&self, factor: i64) -> Dim {
        let mut product = Dim::default();
        for (monomial, coefficient) in &self.terms {
            product.add_term(monomial.clone(), coefficient.saturating_mul(factor));
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
        for (left, a) in &self.terms {
            for (right, b) in &other.terms {
                let mut monomial = [left.as_slice(), right.as_slice()].concat();
                monomial.sort();
                product.add_term(monomial, a.saturating_mul(*b));
            }
        }
        product
    }

    /// `self / n` if every coefficient is divisible by `n`.
    pub fn divided(&self, n: i64) -> Option<Dim> {
        let divisible = n != 0 && self.terms.values().all(|coefficient| coefficient % n == 0);
        divisible.then(|| Dim { terms: self.terms.iter().map(|(m, c)| (m.clone(), c / n)).collect() })
    }

    /// The number it is, if it is one.
    pub fn as_number(&self) -> Option<i64> {
        self.value(&|_| None)
    }

    /// The symbol it is, if it is just one.
    pub fn as_symbol(&self) -> Option<&Symbol> {
        match self.terms.iter().next() {
            Some((monomial, 1)) if self.terms.len() == 1 && monomial.len() == 1 => monomial.first(),
            _ => None,
        }
    }

    /// Its terms: factors, coefficient.
    pub fn terms(&self) -> impl Iterator<Item = (&[Symbol], i64)> {
        self.terms.iter().map(|(factors, coefficient)| (factors.as_slice(), *coefficient))
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
        let mut sum = Dim::default();
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
        let mut sum: i64 = 0;
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
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        // Monomials of symbols first, the number last: `2*C + 1`.
        let numbers_last = self.terms.iter().filter(|(m, _)| !m.is_empty());
        let number = self.terms.iter().filter(|(m, _)| m.is_empty());
        for (position, (monomial, coefficient)) in numbers_last.chain(number).enumerate() {
            let sign = match (position, *coefficient < 0) {
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
