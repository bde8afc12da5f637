//! Events as functions: roots of conditions, periods and times, jumps.

use super::frame::{Frame, Input, Moment, World};
use super::{Elaboration, Made, Signature, arranged, unique};
use crate::ir::func::{Attr, Func, ValueId};
use crate::ir::op::Op;
use crate::ir::system::{Event, Trigger};
use crate::ir::types::Type;
use crate::sema::typed::{self, Dynamics, Expr};
use std::ops::Range;
use std::sync::Arc;

/// A function, and the inputs that its parameters are.
type LooseFunc = (Func, Vec<Input>);

/// An event whose functions have no parameter lists yet.
pub(super) struct Loose<'e> {
    event: &'e typed::Event,
    /// Of a condition the roots, else the period or the times.
    trigger: LooseFunc,
    jump: LooseFunc,
}

/// The events of a system with these states, in file order.
pub(super) fn loose<'e>(
    world: World<'e>,
    dynamics: &'e Dynamics,
    states: Range<usize>,
    args: &mut Vec<&'e Expr>,
) -> Made<Vec<Loose<'e>>> {
    let mut events = Vec::new();
    for event in &dynamics.events {
        let trigger = match &event.trigger {
            typed::Trigger::When(roots, _) => {
                let mut frame = Frame::with_args("roots", world, args);
                let values: Vec<ValueId> = roots.iter().map(|root| frame.value(root)).collect::<Made<_>>()?;
                let packed = frame.b.pack(&values, world.real);
                frame.finish(vec![("roots".into(), packed)])
            }
            typed::Trigger::Every(known) | typed::Trigger::At(known) => {
                let mut frame = Frame::new("times", world, Moment::Never);
                let value = frame.value(known)?;
                frame.finish(vec![("times".into(), value)])
            }
        };
        let jump = jump(world, event, states.clone(), args)?;
        events.push(Loose { event, trigger, jump });
    }
    Ok(events)
}

/// Each state just after the event.
fn jump<'e>(
    world: World<'e>,
    event: &'e typed::Event,
    states: Range<usize>,
    args: &mut Vec<&'e Expr>,
) -> Made<LooseFunc> {
    let mut frame = Frame::with_args("jump", world, args);
    let mut results: Vec<(Arc<str>, ValueId)> = Vec::new();
    for number in states {
        let def = world.states[number].def;
        let value = match event.jumps.iter().find(|(jumps, _)| *jumps == number) {
            Some((_, value)) => {
                let value = frame.value(value)?;
                frame.b.must(Op::Convert, &[value], Attr::To(world.real))
            }
            None => {
                let ty = Type { dtype: world.real, ..frame.def_type(def)? };
                frame.input(Input::State(number), ty)
            }
        };
        results.push((world.defs[def].name.clone(), value));
    }
    Ok(frame.finish(unique(results)))
}

impl Loose<'_> {
    /// The event with the parameter lists of the motion and, for times, of its `n_args` args and what
    /// comes from outside.
    pub fn arranged(self, motion: &Signature, n_args: usize, elaboration: &Elaboration<'_>) -> Event {
        let Loose { event, trigger: (trigger, order), jump: (jump, jump_order) } = self;
        let n_fixed = n_args + elaboration.outside().len();
        let fixed = motion[motion.len() - n_fixed..].to_vec();
        let trigger = match &event.trigger {
            typed::Trigger::When(_, condition) => Trigger::When {
                roots: arranged(trigger, &order, motion.clone()),
                condition: condition.clone(),
            },
            typed::Trigger::Every(_) => Trigger::Every(arranged(trigger, &order, fixed)),
            typed::Trigger::At(_) => Trigger::At(arranged(trigger, &order, fixed)),
        };
        let jump = arranged(jump, &jump_order, motion.clone());
        Event { name: event.name.clone(), trigger, jump, stop: event.stop, span: event.span }
    }
}
