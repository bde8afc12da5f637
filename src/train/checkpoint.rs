//! Params and the state of training as files that NumPy reads too.
//!
//! `params.npz` has an array for each param under its path, on the declared scale. A checkpoint
//! has in addition all that training depends on, so that it goes on as if it had not been stopped:
//! `train/u`, `train/first` and `train/second` (the optimiser's memory), `train/counts` (its steps,
//! steps, epochs, batches of the epoch, looks without a better one), `train/best` and
//! `train/best_value`.

use crate::data::npz;
use crate::engine::ParamValue;
use crate::settings::TrainSettings;
use crate::train::minibatch::State;

/// Why a file cannot be gone on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no archive of arrays.
    #[error("{0}")]
    Unreadable(String),
    /// It has no array of this name.
    #[error("it has no array `{0}`")]
    Missing(String),
    /// An array has another shape than the model wants.
    #[error("its `{name}` has shape {found:?}, the model wants {wanted:?}")]
    Shape {
        /// The array.
        name: String,
        /// In the file.
        found: Vec<usize>,
        /// In the model.
        wanted: Vec<usize>,
    },
}

/// The bytes of `params.npz`.
pub fn params(values: &[ParamValue]) -> Vec<u8> {
    npz::encoded(&arrays(values))
}

/// The bytes of a checkpoint.
pub fn checkpoint(values: &[ParamValue], state: &State) -> Vec<u8> {
    let n = [state.u.len()];
    let [first, second] = &state.rule.memory;
    let counts =
        [state.rule.step, state.step, state.epoch, state.batch, state.looks].map(|count| count as f64);
    let (n_first, n_second) = ([first.len()], [second.len()]);
    let mut arrays = arrays(values);
    arrays.push(("train/u", &n, &state.u));
    arrays.push(("train/first", &n_first, first));
    arrays.push(("train/second", &n_second, second));
    arrays.push(("train/counts", &[5], &counts));
    if let Some((best, value)) = &state.best {
        arrays.push(("train/best", &n, best));
        arrays.push(("train/best_value", &[], std::slice::from_ref(value)));
        return npz::encoded(&arrays);
    }
    npz::encoded(&arrays)
}

fn arrays(values: &[ParamValue]) -> Vec<(&str, &[usize], &[f64])> {
    values.iter().map(|param| (&*param.path, param.shape.as_slice(), param.values.as_slice())).collect()
}

/// The values of the params that `wanted` names, out of the bytes of either file.
pub fn read_params(bytes: &[u8], wanted: &[ParamValue]) -> Result<Vec<ParamValue>, CheckpointError> {
    let file = File::read(bytes)?;
    let each = wanted.iter().map(|param| {
        let values = file.array(&param.path, Some(&param.shape))?;
        Ok(ParamValue { values, ..param.clone() })
    });
    each.collect()
}

/// The state of training out of the bytes of a checkpoint, for a model with `n` free numbers.
pub fn read_state(bytes: &[u8], n: usize, settings: &TrainSettings) -> Result<State, CheckpointError> {
    let file = File::read(bytes)?;
    let mut state = State::new(file.array("train/u", Some(&[n]))?, settings);
    let lengths = state.rule.memory.each_ref().map(Vec::len);
    let first = file.array("train/first", Some(&[lengths[0]]))?;
    state.rule.memory = [first, file.array("train/second", Some(&[lengths[1]]))?];
    let counts = file.array("train/counts", Some(&[5]))?;
    let count = |at: usize| counts[at] as u64;
    state.rule.step = count(0);
    (state.step, state.epoch, state.batch, state.looks) = (count(1), count(2), count(3), count(4));
    if file.has("train/best") {
        let value = file.array("train/best_value", Some(&[]))?;
        state.best = Some((file.array("train/best", Some(&[n]))?, value[0]));
    }
    Ok(state)
}

struct File(Vec<(String, crate::data::Array)>);

impl File {
    fn read(bytes: &[u8]) -> Result<File, CheckpointError> {
        npz::decoded(bytes).map(File).map_err(CheckpointError::Unreadable)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    fn array(&self, name: &str, wanted: Option<&[usize]>) -> Result<Vec<f64>, CheckpointError> {
        let found = self.0.iter().find(|(known, _)| known == name);
        let (_, array) = found.ok_or_else(|| CheckpointError::Missing(name.to_owned()))?;
        match wanted {
            Some(wanted) if wanted != array.shape => Err(CheckpointError::Shape {
                name: name.to_owned(),
                found: array.shape.clone(),
                wanted: wanted.to_vec(),
            }),
            Some(_) | None => Ok(array.numbers.to_f64()),
        }
    }
}
