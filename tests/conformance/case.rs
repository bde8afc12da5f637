//! One case: what is expected of a program, and whether it holds.

use crate::page::{Block, Case, Page, rewrite};
use nodec::base::span::Sources;
use nodec::diag::Diagnostic;
use nodec::{Diagnostics, Error, Model, Run, Solution};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What every value is computed on.
pub const BACK_ENDS: &[&str] = &["interp", "cranelift"];

/// The blocks that `nodec show` fills.
const STAGES: &[&str] = &["tokens", "ast", "ir", "grad", "loops", "clif"];

/// Whether everything that the case says holds.
pub fn check(case: &Case) -> Result<(), String> {
    let seen = observe(case)?;
    for (block, actual) in &seen.blocks {
        if block.text.trim_end() != actual.trim_end() {
            return Err(format!("the `{}` block differs; now it is\n{actual}", block.info));
        }
    }
    let expected = expected_messages(case.program())?;
    // A block is the whole of what is expected, if no line says more.
    if (case.block("diagnostics").is_none() || !expected.is_empty()) && seen.messages != expected {
        return Err(format!(
            "expected {expected:#?}\nfound {:#?}\n{}",
            seen.messages,
            seen.diagnostics.render()
        ));
    }
    Ok(())
}

/// Rewrites the blocks of the case called `title`.
pub fn update(path: &Path, title: &str) -> Result<(), String> {
    let page = Page::read(path);
    let case = page.cases.iter().find(|case| case.title == title).expect("the page was read before");
    let seen = observe(case)?;
    rewrite(path, seen.blocks.iter().map(|(block, text)| (block.lines.clone(), text.clone())).collect());
    check(Page::read(path).cases.iter().find(|case| case.title == title).expect("a title stays"))
}

/// What became of a program.
struct Seen<'a> {
    /// Line, code, columns.
    messages: Vec<String>,
    diagnostics: Diagnostics,
    /// What the blocks of the case should say.
    blocks: Vec<(&'a Block, String)>,
}

fn observe(case: &Case) -> Result<Seen<'_>, String> {
    let folder = Folder::of(case);
    let mut blocks = Vec::new();
    let diagnostics = match run(case, &folder.0)? {
        Ok(warnings) => warnings,
        Err(error) => error.diagnostics().clone(),
    };
    for block in &case.blocks {
        match block.info.as_str() {
            "diagnostics" if diagnostics.is_empty() => {
                return Err(String::from("the program has no mistake"));
            }
            "diagnostics" => blocks.push((block, diagnostics.render().trim_end().to_owned())),
            "equations" => {
                let model = Model::from_text("model.node", case.program(), folder.0.clone());
                blocks.push((block, model.map_err(|error| error.render())?.equations()));
            }
            stage if STAGES.contains(&stage) => blocks.push((block, folder.show(stage)?)),
            "run" => blocks.push((block, folder.run()?)),
            "check" => blocks.push((block, checked(case, &folder.0))),
            "node" => {}
            info if info.starts_with("csv ") || info.starts_with("node ") => {}
            other => return Err(format!("a block of the unknown kind `{other}`")),
        }
    }
    let messages = diagnostics.iter().map(|one| place(one, diagnostics.sources())).collect();
    Ok(Seen { messages, diagnostics, blocks })
}

/// Runs the program on every back end and checks its values; its warnings, or what it fails with.
fn run(case: &Case, folder: &Path) -> Result<Result<Diagnostics, Error>, String> {
    let model = match Model::from_text("model.node", case.program(), folder.to_path_buf()) {
        Ok(model) => model,
        Err(diagnostics) => return Ok(Err(Error::Invalid(diagnostics))),
    };
    let mut warnings = model.warnings();
    let mut earlier: Option<Vec<u64>> = None;
    for back_end in BACK_ENDS {
        let built = model.bind().setting("run.backend", back_end).build();
        let run = match built {
            Ok(run) => run,
            Err(diagnostics) => return Ok(Err(Error::Invalid(diagnostics))),
        };
        if warnings.is_empty() {
            warnings = run.warnings();
        }
        let solution = match run.solve() {
            Ok(solution) => solution,
            Err(error) => return Ok(Err(error)),
        };
        if warnings.is_empty() {
            warnings = run.doubts(solution.own_errors());
        }
        for expectation in expected_values(case.program())? {
            expectation.check(&run, &solution).map_err(|why| format!("{why} on {back_end}"))?;
        }
        let bits = bits(&solution);
        if earlier.get_or_insert_with(|| bits.clone()) != &bits {
            return Err(format!("{back_end} gives other bits than {}", BACK_ENDS[0]));
        }
    }
    Ok(Ok(warnings))
}

/// What `nodec check` says; the folder of the case is called `.`.
fn checked(case: &Case, folder: &Path) -> String {
    let model = Model::from_text("model.node", case.program(), folder.to_path_buf());
    let said = model.and_then(|model| model.bind().check());
    let text = said.unwrap_or_else(|errors| errors).render();
    text.trim_end().replace(&folder.display().to_string(), ".")
}

/// All numbers of a solution, as bits; all NaNs count as one.
fn bits(solution: &Solution) -> Vec<u64> {
    let curves = solution.trajectories().iter().flat_map(|curve| curve.values().iter().copied());
    let values = solution.values().iter().flat_map(|value| value.values.iter().copied());
    let numbers = solution.ts().iter().copied().chain(curves).chain(values);
    numbers.map(|number| if number.is_nan() { f64::NAN } else { number }.to_bits()).collect()
}

/// `# x(end) = 1.5 within 1e-6`.
struct Expectation<'a> {
    what: &'a str,
    values: Vec<f64>,
    /// Absolute.
    tolerance: f64,
}

fn expected_values(program: &str) -> Result<Vec<Expectation<'_>>, String> {
    let comments = program.lines().filter_map(|line| line.split_once('#').map(|(_, comment)| comment.trim()));
    comments.filter_map(Expectation::parse).collect()
}

impl<'a> Expectation<'a> {
    /// `None` for other comments; an error for one that ends like an expectation and is none.
    fn parse(comment: &'a str) -> Option<Result<Expectation<'a>, String>> {
        let (claim, tolerance) = match comment.strip_suffix(" exactly") {
            Some(claim) => (claim, "0"),
            None => comment.rsplit_once(" within ")?,
        };
        let malformed = || format!("`# {comment}` is not `# name(end) = number within tolerance`");
        let parsed = (|| {
            let (what, values) = claim.split_once(" = ")?;
            let values = values.trim().trim_start_matches('[').trim_end_matches(']');
            let values: Option<Vec<f64>> = values.split(',').map(|value| value.trim().parse().ok()).collect();
            Some(Expectation {
                what: what.trim(),
                values: values?,
                tolerance: tolerance.trim().parse().ok()?,
            })
        })();
        Some(parsed.ok_or_else(malformed))
    }

    fn check(&self, run: &Run, solution: &Solution) -> Result<(), String> {
        let found = self.look_up(run, solution).ok_or_else(|| format!("the run has no `{}`", self.what))?;
        let near = |(found, wanted): (&f64, &f64)| {
            found == wanted || (found.is_nan() && wanted.is_nan()) || (found - wanted).abs() <= self.tolerance
        };
        if found.len() == self.values.len() && found.iter().zip(&self.values).all(near) {
            return Ok(());
        }
        Err(format!("{} is {found:?}, expected {:?} within {:e}", self.what, self.values, self.tolerance))
    }

    fn look_up(&self, run: &Run, solution: &Solution) -> Option<Vec<f64>> {
        if self.what == "steps" {
            return Some(vec![solution.stats().accepted as f64]);
        }
        if self.what == "rejected" {
            return Some(vec![solution.stats().rejected as f64]);
        }
        if self.what == "directions" {
            return Some(vec![solution.stats().colours as f64]);
        }
        if self.what == "saved" {
            return Some(solution.ts().to_vec());
        }
        if self.what == "objective" {
            return Some(vec![solution.objective()]);
        }
        let Some((name, argument)) = self.what.split_once('(') else {
            return solution.value(self.what).map(|value| value.values.clone());
        };
        let argument = argument.strip_suffix(')')?;
        if name == "grad" {
            let (scalar, param) = argument.split_once(", ")?;
            let gradient = match scalar {
                "objective" => run.gradient(),
                named => run.grad(named)?,
            };
            return gradient.ok()?.get(param).map(<[f64]>::to_vec);
        }
        let time = match argument {
            "end" => solution.interval().1,
            "start" => solution.interval().0,
            number => number.parse().ok()?,
        };
        solution.get(name)?.at(time)
    }
}

/// `# error[E0304] 10-12` beside a line, as [`place`] writes it.
fn expected_messages(program: &str) -> Result<Vec<String>, String> {
    let mut expected = Vec::new();
    for (number, line) in program.lines().enumerate() {
        let Some((_, comment)) = line.split_once('#') else { continue };
        for claim in comment.split('#').map(str::trim) {
            if claim.starts_with("error[") || claim.starts_with("warning[") {
                expected.push(format!("line {}: {claim}", number + 1));
            }
        }
    }
    Ok(expected)
}

/// Where a message points, from line and column 1, both ends included.
fn place(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let severity = if diagnostic.code.0.starts_with('W') { "warning" } else { "error" };
    let code = diagnostic.code;
    let Some(primary) = &diagnostic.primary else { return format!("{severity}[{code}]") };
    let range = primary.span.range();
    let from = sources.position(primary.span.source, range.start as u32);
    let width = sources.slice(primary.span).lines().next().unwrap_or("").chars().count().max(1);
    let mut text = format!("line {}: {severity}[{code}] {}", from.line, from.column);
    if width > 1 {
        write!(text, "-{}", from.column + width - 1).expect("a string takes it");
    }
    text
}

/// A folder with the files of a case, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn of(case: &Case) -> Folder {
        let name = format!("nodec-page-{}-{}", std::process::id(), case.slug());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(folder.0.join("model.node"), case.program()).unwrap();
        for block in &case.blocks {
            let name = block.info.strip_prefix("csv ").or_else(|| block.info.strip_prefix("node "));
            if let Some(name) = name {
                std::fs::write(folder.0.join(name), &block.text).unwrap();
            }
        }
        folder
    }

    /// What `nodec run` prints, but for the statistics, which have times; the same on every back end.
    fn run(&self) -> Result<String, String> {
        let mut earlier: Option<String> = None;
        for back_end in BACK_ENDS {
            let (model, run) = (self.0.join("model.node"), self.0.join(format!("run_{back_end}")));
            let mut args = ["nodec", "run"].map(OsString::from).to_vec();
            args.extend([model.into(), "--out".into(), run.into()]);
            args.extend(["--set".into(), format!("run.backend={back_end}").into()]);
            let (mut out, mut err) = (Vec::new(), Vec::new());
            nodec::cli::run(args, &mut out, &mut err);
            let out = String::from_utf8(out).map_err(|error| error.to_string())?;
            if out.is_empty() {
                return Err(String::from_utf8_lossy(&err).into_owned());
            }
            let out = out.split("statistics\n").next().unwrap_or_default().trim_end().to_owned();
            if earlier.get_or_insert_with(|| out.clone()) != &out {
                return Err(format!("{back_end} prints something else than {}:\n{out}", BACK_ENDS[0]));
            }
        }
        earlier.ok_or_else(|| String::from("there is no back end"))
    }

    fn show(&self, stage: &str) -> Result<String, String> {
        let model = self.0.join("model.node");
        let args = ["nodec", "show", "--stage", stage].map(OsString::from);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        nodec::cli::run(args.into_iter().chain([model.into_os_string()]), &mut out, &mut err);
        if out.is_empty() {
            return Err(String::from_utf8_lossy(&err).into_owned());
        }
        String::from_utf8(out).map_err(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
