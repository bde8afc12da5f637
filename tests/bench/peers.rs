//! The same work by other solvers, in one run: `NODEC_PEERS=DIR cargo bench -- peers`.
//!
//! `DIR` is a virtual environment that `setup.sh` of the shared benchmarks has made. Each task is a block
//! of a table: who, the median milliseconds, the error of the end where there is a reference, and how
//! many times longer it takes than the fastest of ours whose error is no larger.

use crate::{single, train};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A line of a task.
struct Line {
    task: String,
    peer: String,
    seconds: Option<f64>,
    end: Vec<f64>,
    /// What else is said: loss, norm of the gradient, threads.
    rest: Vec<String>,
}

/// Prints the table.
pub fn table() {
    let mut texts = single::lines(&[]);
    texts.extend(train::lines(&[]));
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers");
    let rust = ["run", "--release", "--manifest-path"];
    texts.extend(output(Command::new("cargo").args(rust).arg(peers.join("Cargo.toml"))));
    match std::env::var_os("NODEC_PEERS").map(PathBuf::from) {
        None => println!("no Python peers: NODEC_PEERS names no virtual environment"),
        Some(folder) => {
            let python = |script: PathBuf| {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(folder.join("bin/python")).arg(script);
                command
            };
            texts.extend(output(&mut python(peers.join("single.py"))));
            let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bench");
            let tasks = ["--tasks", "small,mnist", "--only", "dopri5"];
            texts.extend(output(&mut python(shared.join("ensemble.py"))));
            texts.extend(output(python(shared.join("train_jax.py")).args(tasks)));
            texts.extend(output(python(shared.join("train_torch.py")).args(tasks).args(["--threads", "1"])));
        }
    }
    let mut lines: Vec<Line> = texts.iter().filter_map(|text| line(text)).collect();
    lines.sort_by(|a, b| {
        let seconds = |line: &Line| line.seconds.unwrap_or(f64::INFINITY);
        a.task.cmp(&b.task).then(seconds(a).total_cmp(&seconds(b)))
    });
    println!("| task | who | ms | error | against ours | |\n| --- | --- | --- | --- | --- | --- |");
    for line in lines.iter().filter(|line| line.seconds.is_some()) {
        println!("{}", row(line, &lines));
    }
}

/// The lines that a command prints; said aloud if it fails.
fn output(command: &mut Command) -> Vec<String> {
    match command.output() {
        Ok(found) => {
            if !found.status.success() {
                println!("{command:?} failed: {}", String::from_utf8_lossy(&found.stderr));
            }
            String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
        }
        Err(error) => {
            println!("{command:?} did not run: {error}");
            Vec::new()
        }
    }
}

fn line(text: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(text).ok()?;
    let numbers = |key: &str| -> Vec<f64> {
        value[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let rest = ["threads", "steps", "nfe", "loss", "grad_norm", "check", "failed"];
    let rest = rest.iter().filter(|key| !value[**key].is_null());
    Some(Line {
        task: value["task"].as_str()?.to_owned(),
        peer: value["peer"].as_str()?.to_owned(),
        seconds: value["seconds"].as_f64(),
        end: numbers("end"),
        rest: rest.map(|key| format!("{key} {}", value[*key])).collect(),
    })
}

/// The task without its tolerance.
fn problem(task: &str) -> &str {
    task.rsplit_once('/').map_or(task, |(problem, _)| problem)
}

/// The largest distance of the end from that of the reference, over the largest entry there.
fn error(line: &Line, lines: &[Line]) -> Option<f64> {
    let of = problem(&line.task);
    let best = |other: &&Line| {
        problem(&other.task) == of
            && (other.peer == "reference" || (other.peer == "heyoka" && other.task.ends_with("1e-15")))
    };
    let reference = lines.iter().find(best)?;
    if line.end.is_empty() || line.end.len() != reference.end.len() {
        return None;
    }
    let size = reference.end.iter().fold(0.0, |most: f64, y| most.max(y.abs()));
    let far = line.end.iter().zip(&reference.end).map(|(a, b)| (a - b).abs());
    Some(far.fold(0.0, f64::max) / size)
}

fn row(line: &Line, lines: &[Line]) -> String {
    let own = error(line, lines);
    let seconds = line.seconds.unwrap_or(f64::NAN);
    let ours =
        lines.iter().filter(|other| other.peer.starts_with("nodec") && threads(other) == threads(line));
    let ours = ours.filter(|other| match (own, error(other, lines)) {
        (Some(own), Some(error)) => problem(&other.task) == problem(&line.task) && error <= own,
        _ => other.task == line.task,
    });
    let fastest = ours.filter_map(|other| other.seconds).fold(f64::INFINITY, f64::min);
    let ratio = if line.peer.starts_with("nodec") || !fastest.is_finite() {
        String::new()
    } else {
        format!("{:.2}", seconds / fastest)
    };
    let error = own.map_or(String::new(), |error| format!("{error:.1e}"));
    let rest = line.rest.join(", ");
    format!("| {} | {} | {:.4} | {error} | {ratio} | {rest} |", line.task, line.peer, 1e3 * seconds)
}

/// How many threads a line is of; one if it does not say.
fn threads(line: &Line) -> &str {
    line.rest.iter().find_map(|said| said.strip_prefix("threads ")).unwrap_or("1")
}
