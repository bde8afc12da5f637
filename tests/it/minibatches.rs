//! The loop over minibatches, on an objective whose course is known in closed form.

use nodec::ParamValue;
use nodec::data::Part;
use nodec::settings::{Moments, OptimizerChoice, Patience, Schedule, TrainSettings};
use nodec::train::checkpoint::{checkpoint, params, read_params, read_state};
use nodec::train::minibatch::{Amounts, Call, Ended, Event, Examples, Report, State, Term, train};
use nodec::train::sum::Sums;
use std::ops::ControlFlow;

/// Example `i` wants `u` to be `targets[i]`: loss ½(u − aᵢ)², metric |u − aᵢ|, prior ½u².
struct Targets {
    targets: Vec<f64>,
    valid: Vec<f64>,
    terms: [Term; 2],
    /// Example that fails above this value of `u`.
    pole: f64,
}

impl Targets {
    fn new(targets: &[f64], valid: &[f64]) -> Targets {
        let term = |name: &str, lowered| Term { name: name.into(), lowered };
        let terms = [term("fit", true), term("away", false)];
        Targets { targets: targets.to_vec(), valid: valid.to_vec(), terms, pole: f64::INFINITY }
    }

    fn amounts(&self, threads: usize) -> Amounts {
        Amounts { train: self.targets.len(), valid: self.valid.len(), seed: 5, threads }
    }
}

impl Examples for Targets {
    type Failure = usize;
    type Point = f64;

    fn n_params(&self) -> usize {
        1
    }

    fn terms(&self) -> &[Term] {
        &self.terms
    }

    fn point(&self, u: &[f64], _: Call) -> Result<f64, usize> {
        Ok(u[0])
    }

    fn examples(
        &self,
        u: &f64,
        call: Call,
        examples: &[usize],
        gradient: bool,
        sums: &mut Sums,
    ) -> Result<(), usize> {
        let mut slope = 0.0;
        for example in examples {
            let target = match call.part {
                Part::Train => self.targets[*example],
                Part::Valid | Part::Test => self.valid[*example],
            };
            if *u > self.pole {
                return Err(*example);
            }
            let away = u - target;
            sums.terms[0] += 0.5 * away * away;
            sums.terms[1] += away.abs();
            slope += away;
        }
        if gradient {
            sums.add_slopes([slope].into_iter());
        }
        Ok(())
    }

    fn in_free_space(&self, _: &f64, slopes: &[f64]) -> Result<Vec<f64>, usize> {
        Ok(slopes.to_vec())
    }

    fn priors(&self, u: &[f64], weight: f64, gradient: &mut [f64]) -> Result<f64, usize> {
        gradient[0] += weight * u[0];
        Ok(0.5 * u[0] * u[0])
    }
}

fn settings(lr: f64) -> TrainSettings {
    TrainSettings {
        batch: None,
        epochs: None,
        clip: None,
        valid_every: None,
        early_stop: None,
        checkpoint: None,
        optimizer: OptimizerChoice::Sgd { lr, momentum: 0.0, nesterov: false, weight_decay: 0.0 },
        schedule: Schedule::Constant,
        steps: u64::MAX,
        tolerance: 0.0,
    }
}

/// Trains from 0 and gives the state, the end and every report of a step and of a look.
fn run(
    examples: &Targets,
    settings: &TrainSettings,
    threads: usize,
) -> (State, Ended<usize>, Vec<Report>, Vec<Report>) {
    let mut state = State::new(vec![0.0], settings);
    let (mut steps, mut looks) = (Vec::new(), Vec::new());
    let ended = train(examples, examples.amounts(threads), settings, &mut state, &mut |event| {
        match event {
            Event::Step(report) => steps.push(report.clone()),
            Event::Valid(report) => looks.push(report.clone()),
            Event::Checkpoint(_) => {}
        }
        ControlFlow::Continue(())
    });
    (state, ended, steps, looks)
}

#[test]
fn the_whole_batch_contracts_as_theory_says() {
    // Mean target 2 and prior share ½u²/4: the gradient is (u − 2) + u/4, so the fixed point is 1.6
    // and a step multiplies the distance by 1 − 1.25·0.4 = ½.
    let examples = Targets::new(&[1.0, 2.0, 2.0, 3.0], &[]);
    let settings = TrainSettings { epochs: Some(10), ..settings(0.4) };
    let (state, ended, steps, looks) = run(&examples, &settings, 1);
    assert!((state.u[0] - 1.6 * (1.0 - 0.5_f64.powi(10))).abs() < 1e-14, "{}", state.u[0]);
    assert_eq!((ended, steps.len(), looks.len(), state.epoch), (Ended::Limit, 10, 0, 10));
    // At 0: mean of ½a² is (1 + 4 + 4 + 9)/8, mean of |a| is 2, the gradient −2.
    let first = &steps[0];
    assert_eq!((first.objective, first.terms.as_slice()), (2.25, [2.25, 2.0].as_slice()));
    assert_eq!((first.gradient_norm, first.rate, first.step), (Some(2.0), Some(1.0), 1));
}

#[test]
fn an_epoch_sees_every_example_once_and_another_order_each_time() {
    // Targets are powers of two, so sums of batches tell which examples were in them.
    let targets: Vec<f64> = (0..10).map(|i| f64::from(1 << i)).collect();
    let examples = Targets::new(&targets, &[]);
    let settings = TrainSettings { batch: Some(4), epochs: Some(3), ..settings(1e-12) };
    let (_, _, steps, _) = run(&examples, &settings, 1);
    assert_eq!(steps.len(), 9, "ten examples in batches of 4, 4 and 2");
    let sums: Vec<Vec<u64>> = steps
        .chunks(3)
        .map(|epoch| {
            let sizes = [4.0, 4.0, 2.0];
            epoch.iter().zip(sizes).map(|(step, size)| (step.terms[1] * size).round() as u64).collect()
        })
        .collect();
    assert!(sums.iter().all(|epoch| epoch.iter().sum::<u64>() == 1023), "{sums:?}");
    assert!(sums[0] != sums[1] && sums[1] != sums[2], "{sums:?}");
}

#[test]
fn threads_change_nothing() {
    let targets: Vec<f64> = (0..100).map(|i| 0.1 * f64::from(i)).collect();
    let examples = Targets::new(&targets, &[1.0, 2.0]);
    let moments = Moments { lr: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    let settings = TrainSettings {
        batch: Some(37),
        epochs: Some(4),
        optimizer: OptimizerChoice::Adam(moments),
        ..settings(1.0)
    };
    let one = run(&examples, &settings, 1);
    for threads in [2, 5] {
        assert_eq!(run(&examples, &settings, threads), one, "{threads} threads");
    }
}

#[test]
fn a_checkpoint_goes_on_as_if_nothing_had_happened() {
    let targets: Vec<f64> = (0..11).map(|i| 0.3 * f64::from(i)).collect();
    let examples = Targets::new(&targets, &[1.0]);
    let moments = Moments { lr: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 };
    let settings = TrainSettings {
        batch: Some(3),
        epochs: Some(6),
        checkpoint: Some(2),
        early_stop: Some(Patience { looks: 100, on: "fit".into(), span: None }),
        optimizer: OptimizerChoice::AdamW(moments),
        ..settings(1.0)
    };
    let path =
        |state: &State| vec![ParamValue { path: "k".into(), shape: vec![], values: vec![state.u[0].exp()] }];
    let mut files = Vec::new();
    let mut whole = State::new(vec![0.0], &settings);
    train(&examples, examples.amounts(1), &settings, &mut whole, &mut |event| {
        if let Event::Checkpoint(state) = event {
            files.push(checkpoint(&path(state), state));
        }
        ControlFlow::Continue(())
    });
    assert_eq!(files.len(), 3);
    let mut resumed = read_state(&files[0], 1, &settings).unwrap();
    assert_eq!((resumed.epoch, resumed.step), (2, 8));
    train(&examples, examples.amounts(3), &settings, &mut resumed, &mut |_| ControlFlow::Continue(()));
    assert_eq!(resumed, whole);
    // Params are read from it, and another shape is refused.
    let wanted = path(&whole);
    assert!(read_params(&files[2], &wanted).is_ok());
    let wide = [ParamValue { shape: vec![2], values: vec![0.0; 2], ..wanted[0].clone() }];
    assert_eq!(
        read_params(&params(&wanted), &wide).unwrap_err().to_string(),
        "its `k` has shape [], the model wants [2]"
    );
    assert!(read_params(b"PK", &wanted).is_err());
}

#[test]
fn patience_ends_training_and_keeps_the_best_point() {
    // Training pulls to 10, validation wants 1: with steps of 0.1·(10 − u) the best look is the first.
    let examples = Targets::new(&[10.0], &[1.0]);
    let patience = Patience { looks: 3, on: "away".into(), span: None };
    let settings = TrainSettings { early_stop: Some(patience), ..settings(0.1) };
    let (state, ended, steps, looks) = run(&examples, &settings, 1);
    assert_eq!((ended, steps.len(), looks.len()), (Ended::Patience, 4, 4));
    // The gradient of fit and prior at 0 is −10.
    assert_eq!(state.u, [1.0]);
    assert_eq!(state.best, Some((vec![1.0], 0.0)));
}

#[test]
fn divergence_keeps_the_last_good_point() {
    // A rate of 3 doubles the distance each step; at some point an example fails.
    let examples = Targets { pole: 50.0, ..Targets::new(&[1.0, 1.0], &[]) };
    let (state, ended, steps, _) = run(&examples, &settings(3.0), 1);
    assert_eq!(ended, Ended::Diverged(Some(0)));
    assert!(state.u[0] <= 50.0 && state.u[0].is_finite());
    assert_eq!(steps.len() as u64, state.step);
    // Without a pole the numbers overflow in the end.
    let examples = Targets::new(&[1.0, 1.0], &[]);
    let (state, ended, ..) = run(&examples, &settings(3.0), 1);
    assert_eq!(ended, Ended::Diverged(None));
    assert!(state.u[0].is_finite());
}

#[test]
fn looks_come_every_so_many_steps() {
    let examples = Targets::new(&[1.0, 2.0, 3.0], &[2.0]);
    let settings = TrainSettings { batch: Some(1), steps: 7, valid_every: Some(2), ..settings(0.1) };
    let (_, ended, steps, looks) = run(&examples, &settings, 1);
    assert_eq!((ended, steps.len(), looks.len()), (Ended::Limit, 7, 3));
    assert_eq!(looks.iter().map(|look| look.step).collect::<Vec<_>>(), [2, 4, 6]);
}
