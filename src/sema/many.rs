//! Many runs of one file: `sweep` and `ensemble` items.
//!
//! A sweep names what takes several values, and the values. An ensemble says what each of its
//! members draws: the start of a state, whose expression the draw replaces, or a param or an input,
//! whose number it replaces before a run begins.

use crate::base::span::Span;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::to_real;
use crate::sema::phase::reach;
use crate::sema::resolve::{Binding, Checker};
use crate::sema::space::Declared;
use crate::sema::typed::{DefId, DefKind, Expr, Kind, Phase};
use crate::syntax::ast::{self, Arg, ExprKind, ItemKind};
use std::sync::Arc;

/// What the runs of a model differ in.
#[derive(Clone, Debug, Default)]
pub struct Many {
    /// In file order.
    pub sweeps: Vec<Sweep>,
    /// The members, if there are some.
    pub ensemble: Option<Ensemble>,
}

/// A const, a param or an input that takes several values.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Its definition.
    pub def: DefId,
    /// Its name.
    pub name: Arc<str>,
    /// Static, `[N]`.
    pub values: Expr,
    /// Where it is named.
    pub span: Span,
}

/// What members differ in beside the draws of the file. Starts that are drawn are those of the states.
#[derive(Clone, Debug)]
pub struct Ensemble {
    /// How many there are.
    pub count: Dim,
    /// Params and inputs with what they are drawn as.
    pub draws: Vec<(DefId, Expr)>,
    /// Where the number of members stands.
    pub span: Span,
    /// The first word of the item.
    pub head: Span,
}

/// What a member draws.
enum Target {
    /// The start of the state of this number, which is this definition.
    Start(usize, DefId),
    /// A param or an input.
    Outside(DefId),
}

impl<'a> Checker<'a> {
    /// The `sweep` and `ensemble` items of the file. Starts that are drawn take their places among
    /// the states, so this comes when these have been looked into.
    pub(crate) fn many(&mut self) -> Many {
        let items = self.items();
        let mut many = Many::default();
        for item in items {
            match &item.kind {
                ItemKind::Sweep { target, values } => {
                    let Some(sweep) = self.sweep(target, values) else { continue };
                    match many.sweeps.iter().find(|earlier| earlier.name == sweep.name) {
                        Some(earlier) => {
                            self.report(errors::swept_twice(&sweep.name, earlier.span, sweep.span));
                        }
                        None => many.sweeps.push(sweep),
                    }
                }
                ItemKind::Ensemble { count, draws } => {
                    let head = errors::head(item.span, self.text(item.span));
                    let ensemble = self.ensemble(count, draws, item.span);
                    match &many.ensemble {
                        Some(earlier) => self.report(errors::second_ensemble(earlier.head, head)),
                        None => many.ensemble = ensemble,
                    }
                }
                _ => {}
            }
        }
        many
    }

    fn sweep(&mut self, target: &'a ast::Expr, values: &'a ast::Expr) -> Option<Sweep> {
        let found = match &target.unparenthesised().kind {
            ExprKind::Name(name) => match self.space().globals.get(name).map(|global| &global.declared) {
                Some(Declared::Const(_) | Declared::Input(..) | Declared::Param(..)) => {
                    Some((name.clone(), self.global(name, target.span)?))
                }
                Some(_) => None,
                None => {
                    self.unknown_name(name, target.span, self.home(), false);
                    return None;
                }
            },
            _ => None,
        };
        let (name, def) = match found {
            Some((name, Binding::Value(def))) => (name, def),
            Some((_, Binding::Poisoned)) => return None,
            Some(_) | None => return self.fail(errors::not_swept(target.span, self.text(target.span))),
        };
        let ty = self.defs[def].ty.clone();
        if !ty.is_scalar() {
            let at = self.named(def, target.span);
            let story = self.story(&at);
            return self.fail(errors::needs_scalar("what a sweep varies", target.span, &ty, story));
        }
        let values = to_real(self.infer(values, self.home())?);
        if values.ty.dims.len() != 1 {
            let story = self.story(&values);
            let expected = "a vector, such as `linspace(0, 1, 11)`";
            return self.fail(errors::wrong_operand("sweep", values.span, expected, &values.ty, story));
        }
        self.require(&values, Phase::Static, "the values of a sweep")?;
        Some(Sweep { def, name, values, span: target.span })
    }

    fn ensemble(&mut self, count: &'a ast::Expr, draws: &'a [ast::Draw], item: Span) -> Option<Ensemble> {
        let size = self.size_of(count, self.home(), "the number of members")?;
        let mut found: Vec<(DefId, Expr)> = Vec::new();
        let mut seen: Vec<(String, Span)> = Vec::new();
        for draw in draws {
            let Some((target, drawn)) = self.member_draw(draw) else { continue };
            let text = self.text(draw.target.span).replace(' ', "");
            if let Some((_, first)) = seen.iter().find(|(earlier, _)| *earlier == text) {
                let first = *first;
                self.report(errors::defined_twice(&text, first, draw.target.span));
                continue;
            }
            seen.push((text, draw.target.span));
            match target {
                Target::Start(number, _) => {
                    if let Some(state) = &mut self.all_states[number] {
                        state.start = Some(drawn);
                    }
                }
                Target::Outside(def) => found.push((def, drawn)),
            }
        }
        let head = errors::head(item, self.text(item));
        Some(Ensemble { count: size, draws: found, span: count.span, head })
    }

    /// What a line of an ensemble draws, and the draw.
    fn member_draw(&mut self, draw: &'a ast::Draw) -> Option<(Target, Expr)> {
        let (target, name) = self.draw_target(&draw.target)?;
        let def = match target {
            Target::Start(_, def) | Target::Outside(def) => def,
        };
        let ty = self.defs[def].ty.clone();
        let path: Arc<str> = format!("ensemble {name}").into();
        let drawn = self.draw(&draw.distribution, Some(ty), path, draw.target.span, self.home())?;
        self.before_any_run(&drawn)?;
        self.before_the_run(&drawn, &name, matches!(target, Target::Start(..)))?;
        Some((target, drawn))
    }

    fn draw_target(&mut self, target: &'a ast::Expr) -> Option<(Target, String)> {
        let expr = target.unparenthesised();
        if let ExprKind::Name(name) = &expr.kind {
            let Some(Binding::Value(def)) = self.lookup(name, target.span, self.home()) else {
                self.unknown_name(name, target.span, self.home(), false);
                return None;
            };
            if let DefKind::Param(_) | DefKind::Input(_) = self.defs[def].kind {
                return Some((Target::Outside(def), name.to_string()));
            }
        }
        if let ExprKind::Call { callee, args } = &expr.kind
            && let [Arg::Positional(at)] = args.as_slice()
            && matches!(&at.kind, ExprKind::Name(name) if &**name == "start")
        {
            let state = self.text(callee.span).to_owned();
            if let Some(Binding::Value(def)) = self.global(&state, callee.span)
                && let DefKind::State(number) = self.defs[def].kind
                && self.own_states().contains(&number)
            {
                return Some((Target::Start(number, def), format!("{state}(start)")));
            }
        }
        let text = self.text(target.span);
        self.fail(errors::not_drawn(target.span, text))
    }

    /// What a member draws is known before anything is solved.
    fn before_any_run(&mut self, drawn: &Expr) -> Option<()> {
        let mut wrong = None;
        let defs = &self.defs;
        reach(defs, drawn, &mut |part| {
            if let Kind::Solved { .. } | Kind::At(..) = part.kind {
                wrong = wrong.or(Some(part.span));
            }
            wrong.is_none()
        });
        match wrong {
            None => Some(()),
            Some(span) => {
                let (text, place) = (self.text(span), "a distribution that a member draws from");
                self.fail(errors::known_too_late(span, text, "when a run is over", place))
            }
        }
    }
}
