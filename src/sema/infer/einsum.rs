//! `einsum("ij,jk->ik", A, B)`: sums of products over named axes, with messages that point into
//! the text.

use crate::base::span::Span;
use crate::ir::func::Contraction;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::call::Given;
use crate::sema::infer::reduced;
use crate::sema::prelude::Reduction;
use crate::sema::resolve::{Checker, ScopeId};
use crate::sema::subscripts::Subscripts;
use crate::sema::typed::{Expr, Kind, Ty};
use crate::syntax::ast::ExprKind;

/// A letter and where it is written.
type Letter = (char, Span);

/// The letter of an axis, or the two that an axis is at the sum of.
struct Axis {
    letter: Letter,
    within: Option<Letter>,
}

/// What is written, without blanks.
struct Text {
    operands: Vec<Vec<Axis>>,
    result: Vec<Letter>,
}

/// The letters of axes, the second ones of sums behind the others.
fn letters(group: &[Axis]) -> Vec<Letter> {
    let within = group.iter().filter_map(|axis| axis.within);
    group.iter().map(|axis| axis.letter).chain(within).collect()
}

impl<'a> Checker<'a> {
    /// Every letter that is not in the result is summed over.
    pub(super) fn einsum(
        &mut self,
        name: &'a str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let expected = "subscripts and arrays, as in `einsum(\"ij,j->i\", A, x)`";
        let (Some((text, rest)), true) =
            (given.split_first(), given.iter().all(|argument| argument.name.is_none()))
        else {
            return self.fail(errors::wrong_arguments(span, name, expected));
        };
        let ExprKind::Str(_) = &text.value.unparenthesised().kind else {
            return self.fail(errors::wrong_arguments(text.value.span, name, expected));
        };
        let text_span = text.value.unparenthesised().span;
        let subscripts = self.subscripts(text_span)?;
        let operands: Vec<Option<Expr>> =
            rest.iter().map(|argument| self.infer_real(argument.value, name, scope)).collect();
        let operands: Vec<Expr> = operands.into_iter().collect::<Option<_>>()?;
        if operands.len() != subscripts.operands.len() {
            let message = format!(
                "the subscripts are of {} {}, and {} {} given",
                subscripts.operands.len(),
                if subscripts.operands.len() == 1 { "array" } else { "arrays" },
                operands.len(),
                if operands.len() == 1 { "is" } else { "are" },
            );
            return self.fail(errors::subscripts(text_span, message, "one group of letters for each array"));
        }
        let sizes = self.letter_sizes(&subscripts, &operands, text_span)?;
        let size = |letter: char| match sizes.iter().find(|(known, ..)| *known == letter) {
            Some((_, dim)) => dim.clone(),
            None => crate::bug!("the letters were checked"),
        };
        let names = |group: &[Letter]| group.iter().map(|(letter, _)| *letter).collect::<Vec<char>>();
        let groups: Vec<Vec<char>> = subscripts.operands.iter().map(|group| names(&letters(group))).collect();
        let result = names(&subscripts.result);
        let windows = subscripts.operands.iter().map(|group| {
            let axes = (0..).zip(group);
            axes.filter_map(|(at, axis)| Some((at, size(axis.within?.0)))).collect::<Vec<(u32, Dim)>>()
        });
        let mut windows = windows.collect::<Vec<_>>().into_iter();
        let mut left_windows = windows.next().unwrap_or_default();
        let mut operands = operands.into_iter();
        let Some(mut product) = operands.next() else { crate::bug!("the operands were counted") };
        let mut left = groups[0].clone();
        for (number, operand) in operands.enumerate() {
            let right = &groups[number + 1];
            let later = &groups[number + 2..];
            let out: Vec<char> = if later.is_empty() {
                result.clone()
            } else {
                let mut both = left.clone();
                both.extend(right.iter().filter(|letter| !left.contains(letter)));
                both.retain(|letter| {
                    result.contains(letter) || later.iter().any(|group| group.contains(letter))
                });
                both
            };
            let mut names: Vec<char> = left.clone();
            names.extend(right.iter().filter(|letter| !left.contains(letter)));
            let numbers = |group: &[char]| {
                let place = |letter: &char| names.iter().position(|name| name == letter);
                group.iter().map(|letter| place(letter).map_or(0, |place| place as u8)).collect()
            };
            let spec = Contraction { lhs: numbers(&left), rhs: numbers(right), out: numbers(&out) };
            let windows = [std::mem::take(&mut left_windows), windows.next().unwrap_or_default()];
            let subscripts = Subscripts { spec, windows };
            let ty = Ty::real(out.iter().map(|letter| size(*letter)).collect());
            let phase = product.phase.max(operand.phase);
            product = Expr {
                kind: Kind::Einsum(Box::new(product), Box::new(operand), Box::new(subscripts)),
                ty,
                phase,
                span,
            };
            left = out;
        }
        Some(summed_and_ordered(product, left, &result, span))
    }

    /// What each letter stands for; a letter in two places has one size.
    fn letter_sizes(&mut self, subscripts: &Text, operands: &[Expr], text: Span) -> Option<Vec<(char, Dim)>> {
        let mut sizes: Vec<(char, Dim, Span)> = Vec::new();
        let mut sums: Vec<(Letter, Letter, Dim, Span)> = Vec::new();
        for (group, operand) in subscripts.operands.iter().zip(operands) {
            if group.len() != operand.ty.dims.len() {
                let at = group_span(group, text);
                return self.fail(errors::subscript_count(at, group.len(), operand.span, &operand.ty));
            }
            for (axis, dim) in group.iter().zip(&operand.ty.dims) {
                match axis.within {
                    None => self.letter_size(&mut sizes, axis.letter, dim, operand.span)?,
                    Some(within) => sums.push((axis.letter, within, dim.clone(), operand.span)),
                }
            }
        }
        // Of a sum of two letters one is known, and the other is what is left.
        while !sums.is_empty() {
            let known = |letter: Letter| sizes.iter().find(|(known, ..)| *known == letter.0);
            let next = sums.iter().position(|(i, p, ..)| known(*i).is_some() || known(*p).is_some());
            let Some(next) = next else {
                let (_, (letter, at), ..) = sums[0];
                return self.fail(errors::subscript_alone(at, letter));
            };
            let (i, p, dim, span) = sums.remove(next);
            let (known, other) = match (known(p), known(i)) {
                (Some((_, size, _)), _) => (size, i),
                (None, Some((_, size, _))) => (size, p),
                (None, None) => crate::bug!("one of the two is known"),
            };
            let rest = dim.minus(known).plus(&Dim::number(1));
            self.letter_size(&mut sizes, other, &rest, span)?;
        }
        Some(sizes.into_iter().map(|(letter, dim, _)| (letter, self.settled(&dim))).collect())
    }

    /// A letter stands for an axis of this length of the array that stands there.
    fn letter_size(
        &mut self,
        sizes: &mut Vec<(char, Dim, Span)>,
        (letter, at): Letter,
        dim: &Dim,
        array: Span,
    ) -> Option<()> {
        let Some((_, size, first)) = sizes.iter().find(|(known, ..)| *known == letter).cloned() else {
            sizes.push((letter, self.settled(dim), array));
            return Some(());
        };
        if !self.same_size(&size, dim, at) {
            let (size, dim) = (self.settled(&size).to_string(), self.settled(dim).to_string());
            return self.fail(errors::subscript_sizes(at, letter, (first, &size), (array, &dim)));
        }
        Some(())
    }

    /// The letters of a text like `"ij,j->i"`, or `"p,(i+p)->i"`.
    fn subscripts(&mut self, span: Span) -> Option<Text> {
        // Letters, commas and an arrow need no escape, so a place in the text is one in the file.
        let written = self.text(span);
        let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(written);
        let start = span.range().start + (written.len() - inner.len()) / 2;
        let at = |place: usize, length: usize| Span::new(span.source, start + place, start + place + length);
        let Some(arrow) = inner.find("->") else {
            let message = "subscripts say what is left after `->`";
            return self.fail(errors::subscripts(span, message, "nothing is summed unless it is said"));
        };
        let mut groups: Vec<Vec<Axis>> = vec![Vec::new()];
        let mut result: Vec<Letter> = Vec::new();
        // The letters of a sum that has begun, and whether its `+` has come.
        let mut sum: Option<(Vec<Letter>, bool)> = None;
        for (place, letter) in inner.char_indices() {
            let here = at(place, letter.len_utf8());
            let Some(group) = groups.last_mut() else { crate::bug!("there is always a group") };
            match (letter, &mut sum) {
                (' ', _) => {}
                ('-' | '>', None) if place == arrow || place == arrow + 1 => {}
                (',', None) if place < arrow => groups.push(Vec::new()),
                ('(', None) if place < arrow => sum = Some((Vec::new(), false)),
                ('+', Some((summed, plus @ false))) if summed.len() == 1 => *plus = true,
                (')', Some((summed, _))) if summed.len() == 2 => {
                    group.push(Axis { letter: summed[0], within: Some(summed[1]) });
                    sum = None;
                }
                (letter, None) if letter.is_alphabetic() && place > arrow => {
                    if result.iter().any(|(other, _)| *other == letter) {
                        let message = format!("`{letter}` stands twice after `->`");
                        return self.fail(errors::subscripts(here, message, "each axis once"));
                    }
                    result.push((letter, here));
                }
                (letter, sum) if letter.is_alphabetic() => {
                    let begun = sum.iter().flat_map(|(summed, _)| summed);
                    if letters(group).iter().chain(begun).any(|(other, _)| *other == letter) {
                        let instead = "take the diagonal with a comprehension";
                        return self.fail(errors::not_yet(here, "a letter twice for one array is", instead));
                    }
                    match sum {
                        None => group.push(Axis { letter: (letter, here), within: None }),
                        Some((summed, plus)) if summed.len() == usize::from(*plus) => {
                            summed.push((letter, here));
                        }
                        Some(_) => {
                            let message = "a sum is one of two letters";
                            return self.fail(errors::subscripts(here, message, "as in `(i+p)`"));
                        }
                    }
                }
                (other, _) => {
                    let message = format!("`{other}` is no subscript");
                    return self.fail(errors::subscripts(here, message, "one letter for each axis"));
                }
            }
        }
        for (letter, here) in &result {
            if !groups.iter().any(|group| letters(group).iter().any(|(other, _)| other == letter)) {
                let message = format!("`{letter}` stands after `->` only");
                return self.fail(errors::subscripts(*here, message, "no array has this axis"));
            }
        }
        Some(Text { operands: groups, result })
    }
}

/// The letters of one array; where there are none, the whole text.
fn group_span(group: &[Axis], text: Span) -> Span {
    match (group.first(), group.last()) {
        (Some(first), Some(last)) => first.letter.1.to(last.within.unwrap_or(last.letter).1),
        _ => text,
    }
}

/// `x`, whose axes are `letters`, summed over those that are not in `result`, in that order.
fn summed_and_ordered(x: Expr, letters: Vec<char>, result: &[char], span: Span) -> Expr {
    let gone: Vec<u32> =
        (0..letters.len() as u32).filter(|axis| !result.contains(&letters[*axis as usize])).collect();
    let letters: Vec<char> = letters.into_iter().filter(|letter| result.contains(letter)).collect();
    let x = if gone.is_empty() { x } else { reduced(Reduction::Sum, x, gone, span) };
    if letters == result {
        return Expr { span, ..x };
    }
    let place = |letter: &char| letters.iter().position(|other| other == letter).map_or(0, |at| at as u32);
    let axes: Vec<u32> = result.iter().map(place).collect();
    let ty = Ty::real(axes.iter().map(|axis| x.ty.dims[*axis as usize].clone()).collect());
    let phase = x.phase;
    Expr { kind: Kind::Permute(Box::new(x), axes), ty, phase, span }
}
