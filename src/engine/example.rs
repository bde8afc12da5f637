//! The numbers of one example: its slices of the data, its draws, where training stands.

use crate::base::random::{BLOCKS, Stream};
use crate::data::Part;
use crate::engine::dataset::Dataset;
use crate::ir::program::{Axis, DataPort, Draw, PortSource};

/// Which example, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    /// The part of the data.
    pub part: Part,
    /// Its number in the part.
    pub example: usize,
    /// The step of training, from 0.
    pub step: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// What draws are keyed by: the step, or [`At::EVALUATION`].
    pub draws: u64,
}

impl At {
    /// The key of draws that belong to no step of training: an example is always evaluated with the
    /// same ones.
    pub const EVALUATION: u64 = u64::MAX;

    /// An example outside training.
    pub fn evaluated(part: Part, example: usize) -> At {
        At { part, example, step: 0, epoch: 0, draws: At::EVALUATION }
    }
}

/// The values of all ports at an example, in the order of `ports`, row-major.
pub(crate) fn values(ports: &[DataPort], dataset: &Dataset, seed: u64, at: At) -> Vec<Vec<f64>> {
    ports.iter().map(|port| value(port, dataset, seed, at)).collect()
}

/// The values of one port at an example, row-major.
pub(crate) fn value(port: &DataPort, dataset: &Dataset, seed: u64, at: At) -> Vec<f64> {
    let mut values = vec![0.0; port.ty.shape.count()];
    read(port, dataset, seed, at, &mut values);
    values
}

/// Writes the values of one port at an example, row-major, to `out`, which has a place for each.
pub(crate) fn read(port: &DataPort, dataset: &Dataset, seed: u64, at: At, out: &mut [f64]) {
    let unknown = || crate::bug!("`{}` has no values at {at:?}", port.path);
    match (&port.source, port.axis, &port.value) {
        (_, _, Some(value)) => out.copy_from_slice(value),
        (PortSource::Given, Axis::Example, None) => {
            dataset.field(&port.path, at.part).unwrap_or_else(unknown).read_f64(at.example, out);
        }
        (PortSource::Given, Axis::Whole, None) => unknown_whole(port),
        (PortSource::Length(size), ..) => {
            let length = dataset.length(size, at.part, at.example).unwrap_or_else(|| unknown_length(size));
            out.fill(length as f64);
        }
        (PortSource::Drawn(draw), ..) => {
            let mut stream = Stream::new(seed, &port.path, at.draws, at.example as u64);
            out.iter_mut().enumerate().for_each(|(entry, out)| *out = drawn(draw, entry, &mut stream));
        }
        (PortSource::Step, ..) => out.fill(at.step as f64),
        (PortSource::Epoch, ..) => out.fill(at.epoch as f64),
    }
}

fn unknown_whole(port: &DataPort) -> ! {
    crate::bug!("`{}` is bound before elaboration", port.path)
}

fn unknown_length(size: &str) -> ! {
    crate::bug!("no data field has the ragged axis `{size}`")
}

fn drawn(draw: &Draw, entry: usize, stream: &mut Stream) -> f64 {
    // Draws that take more or less of the stream each have a part of their own.
    let own = |stream: &mut Stream| stream.seek(entry as u64 * BLOCKS);
    let of = |values: &[f64]| values[entry % values.len()];
    match draw {
        Draw::Normal => stream.normal(),
        Draw::Uniform => stream.open_uniform(),
        Draw::Gamma(shape) => {
            own(stream);
            libm::exp(stream.log_gamma(of(shape)))
        }
        Draw::Beta(a, b) => {
            own(stream);
            stream.beta(of(a), of(b))
        }
        Draw::StudentT(freedom) => {
            own(stream);
            stream.student_t(of(freedom))
        }
        Draw::Poisson(rate) => {
            own(stream);
            stream.poisson(of(rate))
        }
        Draw::Rademacher => {
            if stream.next_u32() >> 31 == 0 {
                -1.0
            } else {
                1.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::span::Sources;
    use crate::base::span::Span;
    use crate::ir::types::{DType, Shape, Type};

    #[test]
    fn draws_depend_on_item_step_and_example() {
        let span = Span::new(Sources::new().add("m.node", ""), 0, 0);
        let port = |path: &str, draw| DataPort {
            path: path.into(),
            ty: Type { dtype: DType::F64, shape: Shape::new(&[3]) },
            axis: Axis::Example,
            source: PortSource::Drawn(draw),
            value: None,
            span,
        };
        let ports = [port("eps", Draw::Normal), port("u", Draw::Uniform), port("s", Draw::Rademacher)];
        let dataset = Dataset::default();
        let at = At { part: Part::Train, example: 2, step: 7, epoch: 1, draws: 7 };
        let found = values(&ports, &dataset, 1, at);
        assert_eq!(found, values(&ports, &dataset, 1, At { part: Part::Test, epoch: 9, ..at }));
        assert_ne!(found[0], values(&ports, &dataset, 1, At { draws: 8, ..at })[0]);
        assert_ne!(found[0], values(&ports, &dataset, 1, At { example: 3, ..at })[0]);
        assert_ne!(found[0], values(&ports, &dataset, 2, at)[0]);
        assert!(found[1].iter().all(|u| 0.0 < *u && *u < 1.0), "{found:?}");
        assert!(found[2].iter().all(|s| s.abs() == 1.0), "{found:?}");
    }
}
