//! A number of the run over a plane.

use crate::data::Part;
use crate::engine::example::{self, At};
use crate::engine::many::in_order;
use crate::engine::{Error, Run};
use crate::ir::program::{Heat, Over};
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::operands::Context;
use crate::plan::unit::{Data, Element};
use crate::settings::Precision;
use std::ops::ControlFlow;

impl Run {
    /// What `heat` shows, with the present params: the values at the middles of its cells, the rows
    /// from bottom to top, `[points, points]`. NaN where a run fails. Draws and other data are those of the
    /// first example everywhere.
    pub fn on_grid(&self, heat: &Heat) -> Result<Vec<f64>, Error> {
        match self.settings().run.precision {
            Precision::F64 => self.on_grid_in::<f64>(heat),
            Precision::F32 => self.on_grid_in::<f32>(heat),
        }
    }

    fn on_grid_in<T: Element>(&self, heat: &Heat) -> Result<Vec<f64>, Error> {
        let parts = self.parts();
        let program = &parts.plan.program;
        let alone = parts.plan.alone(heat.value).map_err(|error| self.failed(&Failure::Plan(error)))?;
        let controls = Controls { save: Save::Nothing, ..parts.controls.clone() };
        let p: Vec<T> = parts.params.iter().map(|value| T::from_f64(*value)).collect();
        let first = At::evaluated(Part::Train, 0);
        let values = example::values(&program.data, &parts.dataset, parts.settings.run.seed, first);
        let middle =
            |cell: usize, (lo, hi): (f64, f64)| lo + (hi - lo) * (cell as f64 + 0.5) / heat.points as f64;
        let of = |number: usize| {
            let point = vec![middle(number % heat.points, heat.x), middle(number / heat.points, heat.y)];
            let data = match heat.over {
                Over::Port(port) => {
                    let mut values = values.clone();
                    values[port] = point;
                    Data::new(&program.data, &values)
                }
                Over::Start(state) => {
                    let before = program.main_system().map_or(&[][..], |system| &system.states[..state]);
                    let at = before.iter().map(|state| state.ty.shape.count()).sum();
                    Data::new(&program.data, &values).starting(at, point)
                }
            };
            let context = Context { plan: &parts.plan, p: &p, data: &data };
            context.alone(&alone, &controls).unwrap_or(f64::NAN)
        };
        let n_cells = heat.points * heat.points;
        let mut found = Vec::with_capacity(n_cells);
        in_order(0..n_cells, n_cells, self.threads(), of, |_, value| {
            found.push(value);
            ControlFlow::Continue(())
        });
        Ok(found)
    }
}
