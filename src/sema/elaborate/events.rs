//! Events as functions: roots of conditions, periods and times, jumps.

use super::frame::{Frame, Input, Moment};
use super::{Elaboration, Made, arranged, unique};
use crate::ir::func::{Attr, Func, ValueId};
use crate::ir::op::Op;
use crate::ir::system::{Event, Trigger};
use crate::sema::typed::{self, Expr};
use std::sync::Arc;

impl<'m> Elaboration<'m> {
    /// The events, in file order.
    pub(super) fn events(&self) -> Made<Vec<Event>> {
        self.model.dynamics.events.iter().map(|event| self.event(event)).collect()
    }

    fn event(&self, event: &'m typed::Event) -> Made<Event> {
        let trigger = match &event.trigger {
            typed::Trigger::When(roots, condition) => {
                Trigger::When { roots: self.roots(roots)?, condition: condition.clone() }
            }
            typed::Trigger::Every(period) => Trigger::Every(self.known("period", period)?),
            typed::Trigger::At(times) => Trigger::At(self.known("times", times)?),
        };
        let (name, stop, span) = (event.name.clone(), event.stop, event.span);
        Ok(Event { name, trigger, jump: self.jump(event)?, stop, span })
    }

    fn roots(&self, roots: &'m [Expr]) -> Made<Func> {
        let mut frame = Frame::new("roots", self.world(), Moment::Now);
        let values: Vec<ValueId> = roots.iter().map(|root| frame.value(root)).collect::<Made<_>>()?;
        let packed = frame.b.pack(&values, self.bindings.real);
        let (func, order) = frame.finish(vec![("roots".into(), packed)]);
        Ok(arranged(func, &order, self.motion_signature()))
    }

    fn known(&self, name: &str, expr: &'m Expr) -> Made<Func> {
        let mut frame = Frame::new(name, self.world(), Moment::Never);
        let value = frame.value(expr)?;
        let (func, order) = frame.finish(vec![(name.into(), value)]);
        Ok(arranged(func, &order, self.outside()))
    }

    /// Each state just after the event.
    fn jump(&self, event: &'m typed::Event) -> Made<Func> {
        let mut frame = Frame::new("jump", self.world(), Moment::Now);
        let mut results: Vec<(Arc<str>, ValueId)> = Vec::new();
        for (number, state) in self.model.states.iter().enumerate() {
            let (name, ty) = (self.model.defs[state.def].name.clone(), self.ty(state.def));
            let value = match event.jumps.iter().find(|(jumps, _)| *jumps == number) {
                Some((_, value)) => {
                    let value = frame.value(value)?;
                    frame.b.must(Op::Convert, &[value], Attr::To(self.bindings.real))
                }
                None => frame.input(Input::State(number), ty),
            };
            results.push((name, value));
        }
        let (func, order) = frame.finish(unique(results));
        Ok(arranged(func, &order, self.motion_signature()))
    }
}
