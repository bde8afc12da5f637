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
use crate::sema::typed::{Expr, Kind, Ty};
use crate::syntax::ast::ExprKind;

/// A letter and where it is written.
type Letter = (char, Span);

/// What is written, without blanks.
struct Subscripts {
    operands: Vec<Vec<Letter>>,
    result: Vec<Letter>,
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
        let letters = |group: &[Letter]| group.iter().map(|(letter, _)| *letter).collect::<Vec<char>>();
        let groups: Vec<Vec<char>> = subscripts.operands.iter().map(|group| letters(group)).collect();
        let result = letters(&subscripts.result);
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
            let ty = Ty::real(out.iter().map(|letter| size(*letter)).collect());
            let phase = product.phase.max(operand.phase);
            product =
                Expr { kind: Kind::Einsum(Box::new(product), Box::new(operand), spec), ty, phase, span };
            left = out;
        }
        Some(summed_and_ordered(product, left, &result, span))
    }

    /// What each letter stands for; a letter in two places has one size.
    fn letter_sizes(
        &mut self,
        subscripts: &Subscripts,
        operands: &[Expr],
        text: Span,
    ) -> Option<Vec<(char, Dim)>> {
        let mut sizes: Vec<(char, Dim, Span)> = Vec::new();
        for (group, operand) in subscripts.operands.iter().zip(operands) {
            if group.len() != operand.ty.dims.len() {
                let at = group_span(group, text);
                return self.fail(errors::subscript_count(at, group.len(), operand.span, &operand.ty));
            }
            for ((letter, at), dim) in group.iter().zip(&operand.ty.dims) {
                let known = sizes.iter().find(|(known, ..)| known == letter).cloned();
                match known {
                    None => sizes.push((*letter, self.settled(dim), operand.span)),
                    Some((_, size, first)) => {
                        if !self.same_size(&size, dim, *at) {
                            let (size, dim) = (self.settled(&size), self.settled(dim));
                            return self.fail(errors::subscript_sizes(
                                *at,
                                *letter,
                                (first, &size.to_string()),
                                (operand.span, &dim.to_string()),
                            ));
                        }
                    }
                }
            }
        }
        Some(sizes.into_iter().map(|(letter, dim, _)| (letter, self.settled(&dim))).collect())
    }

    /// The letters of a text like `"ij,j->i"`.
    fn subscripts(&mut self, span: Span) -> Option<Subscripts> {
        // Letters, commas and an arrow need no escape, so a place in the text is one in the file.
        let written = self.text(span);
        let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(written);
        let start = span.range().start + (written.len() - inner.len()) / 2;
        let at = |place: usize, length: usize| Span::new(span.source, start + place, start + place + length);
        let Some(arrow) = inner.find("->") else {
            let message = "subscripts say what is left after `->`";
            return self.fail(errors::subscripts(span, message, "nothing is summed unless it is said"));
        };
        let mut groups: Vec<Vec<Letter>> = vec![Vec::new()];
        let mut result: Vec<Letter> = Vec::new();
        for (place, letter) in inner.char_indices() {
            let here = at(place, letter.len_utf8());
            let group = if place < arrow { groups.last_mut() } else { Some(&mut result) };
            let Some(group) = group else { crate::bug!("there is always a group") };
            match letter {
                ' ' => {}
                '-' | '>' if place == arrow || place == arrow + 1 => {}
                ',' if place < arrow => groups.push(Vec::new()),
                letter if letter.is_alphabetic() => {
                    if group.iter().any(|(other, _)| *other == letter) {
                        if place > arrow {
                            let message = format!("`{letter}` stands twice after `->`");
                            return self.fail(errors::subscripts(here, message, "each axis once"));
                        }
                        let instead = "take the diagonal with a comprehension";
                        return self.fail(errors::not_yet(here, "a letter twice for one array is", instead));
                    }
                    group.push((letter, here));
                }
                other => {
                    let message = format!("`{other}` is no subscript");
                    return self.fail(errors::subscripts(here, message, "one letter for each axis"));
                }
            }
        }
        for (letter, here) in &result {
            if !groups.iter().flatten().any(|(other, _)| other == letter) {
                let message = format!("`{letter}` stands after `->` only");
                return self.fail(errors::subscripts(*here, message, "no array has this axis"));
            }
        }
        Some(Subscripts { operands: groups, result })
    }
}

/// The letters of one array; where there are none, the whole text.
fn group_span(group: &[Letter], text: Span) -> Span {
    match (group.first(), group.last()) {
        (Some((_, first)), Some((_, last))) => first.to(*last),
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
