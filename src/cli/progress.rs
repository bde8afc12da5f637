//! The line that shows how far a fit is: on a terminal only, and on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// A progress line; silent where nobody watches.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A line for at most `steps` steps.
    pub fn new(steps: u64) -> Progress {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{prefix} {bar:24} step {pos} of {len}  {msg}");
        bar.set_style(style.expect("the template is a constant"));
        bar.set_prefix("fit");
        Progress { bar }
    }

    /// Shows a step.
    pub fn show(&self, step: u64, objective: f64, gradient_norm: f64) {
        self.bar.set_position(step);
        self.bar.set_message(format!("objective {objective:.6}  gradient {gradient_norm:.1e}"));
    }

    /// Takes the line away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
