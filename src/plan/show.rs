//! Listings of a plan, for `nodec show` and for debugging.

use crate::backend::cranelift::clif;
use crate::ir::func::Func;
use crate::lower::loops::{Prim, Stmt};
use crate::lower::lower;
use crate::plan::Plan;
use crate::plan::compiled::Funcs;
use crate::plan::controls::Adjoint;
use crate::plan::kernels::reversed;
use crate::plan::pack::Target;
use crate::plan::unit::PlanError;

impl Plan {
    /// The functions of a simulation in the tensor IR.
    pub fn show_ir(&self) -> Result<String, PlanError> {
        Ok(listed(self.forward_funcs().iter().map(|func| func.to_string())))
    }

    /// The functions of the motion as the program has them, before they are packed and simplified.
    pub fn show_program(&self) -> String {
        let motion = self.program.systems.iter().flat_map(|system| system.motion());
        let funcs = motion.chain([&self.program.post, &self.program.observe]);
        listed(funcs.map(|func| func.to_string()))
    }

    /// What one call of each rate function and each step costs: operations on scalars by kind.
    pub fn show_cost(&self) -> Result<String, PlanError> {
        let target = self.backend().target();
        let mut text = format!(
            "{:<24}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
            "function", "add, sub", "mul", "div", "other", "memory"
        );
        let Funcs { packed, steps } = &self.funcs;
        for func in packed.rates.iter().chain(steps.iter().flatten()) {
            let mut cost = Cost::default();
            let loops = lower(func, target)?;
            cost.count(&loops.body, 1);
            let Cost { sums, products, quotients, others, memory } = cost;
            text += &format!(
                "{:<24}{sums:>10}{products:>10}{quotients:>10}{others:>10}{memory:>10}\n",
                loops.name
            );
        }
        Ok(text)
    }

    /// The functions that a gradient adds, in the tensor IR.
    pub fn show_derivatives(&self) -> Result<String, PlanError> {
        let mut funcs = Vec::new();
        for solve in 0..self.program.solves.len() {
            self.check_reversible(solve, Adjoint::Discrete)?;
            funcs.extend(self.solve_cotangent_funcs(solve, self.moving(solve))?.into_iter().flatten());
        }
        for system in 0..self.program.systems.len() {
            funcs.push(self.rate_cotangent_func(system)?);
            if self.methods[system].tableau().is_some() {
                funcs.push(self.step_cotangent_func(system)?);
            }
        }
        funcs.push(reversed(&self.funcs.packed.constrain, &[0], &[0])?);
        funcs.push(self.objective_funcs(Target::Total)?.1);
        Ok(listed(funcs.iter().map(|func| func.to_string())))
    }

    /// The functions of a simulation as loops.
    pub fn show_loops(&self) -> Result<String, PlanError> {
        let target = self.backend().target();
        let loops = self.forward_funcs().into_iter().map(|func| lower(func, target));
        Ok(listed(loops.collect::<Result<Vec<_>, _>>()?.iter().map(|func| func.to_string())))
    }

    /// The functions of a simulation as Cranelift takes them.
    pub fn show_machine_code(&self) -> Result<String, PlanError> {
        let target = self.backend().target();
        let mut texts = Vec::new();
        for func in self.forward_funcs() {
            texts.push(clif(&lower(func, target)?)?);
        }
        Ok(listed(texts.into_iter()))
    }

    fn forward_funcs(&self) -> Vec<&Func> {
        let Funcs { packed, steps } = &self.funcs;
        let mut funcs: Vec<&Func> = packed.solves.iter().map(|solve| &solve.start.func).collect();
        for (rate, step) in packed.rates.iter().zip(steps) {
            funcs.push(rate);
            funcs.extend(step);
        }
        funcs.extend(packed.solves.iter().map(|solve| &solve.times.func));
        funcs.extend(packed.solves.iter().map(|solve| &solve.stops.func).filter(|stops| !is_empty(stops)));
        funcs.extend([&packed.post.func, &packed.observe.func]);
        funcs
    }
}

/// Operations on scalars; a fused multiply and add is one product and one sum.
#[derive(Default)]
struct Cost {
    sums: usize,
    products: usize,
    quotients: usize,
    others: usize,
    memory: usize,
}

impl Cost {
    /// Adds what `stmts` cost when they are done `times` times.
    fn count(&mut self, stmts: &[Stmt], times: usize) {
        for stmt in stmts {
            match stmt {
                Stmt::Let { prim: Prim::Const(_) | Prim::Counter(_), .. } => {}
                Stmt::Let { prim: Prim::Add | Prim::Sub, .. } => self.sums += times,
                Stmt::Let { prim: Prim::Mul, .. } => self.products += times,
                Stmt::Let { prim: Prim::Fma, .. } => {
                    self.sums += times;
                    self.products += times;
                }
                Stmt::Let { prim: Prim::Div, .. } => self.quotients += times,
                Stmt::Let { .. } => self.others += times,
                Stmt::Load { .. } | Stmt::Store { .. } => self.memory += times,
                Stmt::Loop(inner) => self.count(&inner.body, times.saturating_mul(inner.count)),
            }
        }
    }
}

/// Whether the one result of `func` has no entries.
fn is_empty(func: &Func) -> bool {
    func.result_types().all(|ty| ty.shape.count() == 0)
}

fn listed(texts: impl Iterator<Item = String>) -> String {
    texts.map(|text| format!("{}\n\n", text.trim_end())).collect()
}
