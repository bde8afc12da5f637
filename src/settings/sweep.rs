//! `--sweep 'mu = logspace(0, 3, 40)'`: the values that one name takes, as a program would say it.

use crate::base::span::{Sources, Span};
use crate::diag::Sink;
use crate::syntax::ast::{Expr, ExprKind, Item, ItemKind};
use crate::syntax::parser::parse_expr;
use std::sync::Arc;

/// A sweep that stands outside of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// As messages show it: `--sweep mu = logspace(0, 3, 40)`.
    text: String,
    /// Where the name stands in it.
    name: (usize, usize),
}

const HEAD: &str = "--sweep ";

impl Sweep {
    /// `name = values`, where the values are any static vector of the language; `None` if it is
    /// something else.
    pub fn parse(text: &str) -> Option<Sweep> {
        let (name, _) = text.split_once('=')?;
        let start = HEAD.len() + (name.len() - name.trim_start().len());
        let sweep = Sweep { text: format!("{HEAD}{text}"), name: (start, start + name.trim().len()) };
        let is_name =
            !sweep.name().is_empty() && sweep.name().chars().all(|c| c.is_alphanumeric() || c == '_');
        (is_name && sweep.item(&mut Sources::new(), &mut Sink::new()).is_some()).then_some(sweep)
    }

    /// `name` takes these values.
    pub fn of(name: &str, values: &[f64]) -> Sweep {
        let values: Vec<String> = values.iter().map(|value| format!("{value:e}")).collect();
        let name_at = (HEAD.len(), HEAD.len() + name.len());
        Sweep { text: format!("{HEAD}{name} = [{}]", values.join(", ")), name: name_at }
    }

    /// What takes several values.
    pub fn name(&self) -> &str {
        &self.text[self.name.0..self.name.1]
    }

    /// The item `sweep name in values`, its text among the sources.
    pub fn item(&self, sources: &mut Sources, sink: &mut Sink) -> Option<Item> {
        let source = sources.add("command line", self.text.as_str());
        let from = self.name.1 + self.text[self.name.1..].find('=')? + 1;
        let values = Box::new(parse_expr(source, &self.text, from..self.text.len(), sink)?);
        let span = Span::new(source, self.name.0, self.name.1);
        let name: Arc<str> = self.name().into();
        let target = Box::new(Expr { kind: ExprKind::Name(name), span });
        let span = Span::new(source, 0, self.text.len());
        Some(Item { docs: Vec::new(), kind: ItemKind::Sweep { target, values }, span })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_a_name_and_an_expression() {
        for fine in ["mu = linspace(0, 1, 3)", " mu=[3, 1/2]", "mu = logspace(0, 2, n)"] {
            assert_eq!(
                Sweep::parse(fine).map(|sweep| sweep.name().to_owned()),
                Some(String::from("mu")),
                "{fine}"
            );
        }
        for wrong in ["mu", "mu = ", "= [1]", "a.b = [1]", "mu = 3 4"] {
            assert_eq!(Sweep::parse(wrong), None, "{wrong}");
        }
        let (sweep, same) = (Sweep::of("k", &[-1.5, 1e-9]), Sweep::parse("k = [-1.5e0, 1e-9]"));
        assert_eq!(Some(sweep), same);
    }
}
