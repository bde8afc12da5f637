//! Listings of a plan, for `nodec show` and for debugging.

use crate::backend::cranelift::clif;
use crate::ir::func::Func;
use crate::lower::lower;
use crate::plan::Plan;
use crate::plan::pack::Target;
use crate::plan::unit::PlanError;

impl Plan {
    /// The functions of a simulation in the tensor IR.
    pub fn show_ir(&self) -> Result<String, PlanError> {
        Ok(listed(self.forward_funcs().iter().map(|func| func.to_string())))
    }

    /// The functions that a gradient adds, in the tensor IR.
    pub fn show_derivatives(&self) -> Result<String, PlanError> {
        let mut funcs = self.cotangent_funcs()?;
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

    fn forward_funcs(&self) -> [&Func; 6] {
        let p = &self.funcs.packed;
        [&p.start, &p.rate, &self.funcs.step, &p.times, &p.post, &p.observe]
    }
}

fn listed(texts: impl Iterator<Item = String>) -> String {
    texts.map(|text| format!("{}\n\n", text.trim_end())).collect()
}
