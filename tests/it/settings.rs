//! Settings: their order, their types, and what a mistyped one says.

use nodec::base::span::Sources;
use nodec::diag::render::{Format, render};
use nodec::diag::{Diagnostic, Sink};
use nodec::settings::table::SETTINGS;
use nodec::settings::{
    ErrorNorm, Flag, Moments, OptimizerChoice, Origin, Override, Precision, Request, Save, Schedule,
    Settings, listing, resolve,
};
use nodec::syntax::parser::parse;

struct Run {
    settings: Option<(Settings, Vec<Override>)>,
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
}

impl Run {
    fn ok(&self) -> &Settings {
        &self.settings.as_ref().unwrap_or_else(|| panic!("{:#?}", self.diagnostics)).0
    }

    /// `E0801 file:line:column covered text: message`
    fn only(&self) -> String {
        let [diagnostic] = self.diagnostics.as_slice() else { panic!("{:#?}", self.diagnostics) };
        let span = diagnostic.primary.as_ref().expect("settings have a place").span;
        let place = self.sources.position(span.source, span.lo);
        let name = self.sources.name(span.source);
        let covered = self.sources.slice(span);
        let (code, message) = (diagnostic.code, &diagnostic.message);
        format!("{code} {name}:{}:{} {covered}: {message}", place.line, place.column)
    }

    fn helps(&self) -> Vec<&str> {
        self.diagnostics[0].helps.iter().map(|help| help.text.as_str()).collect()
    }
}

fn run(program: &str, profile: Option<&str>, sets: &[&str]) -> Run {
    let flags: Vec<Flag> = sets.iter().map(|set| Flag::set(set).expect("has a `=`")).collect();
    run_flags(program, profile, &flags)
}

fn run_flags(program: &str, profile: Option<&str>, flags: &[Flag]) -> Run {
    let mut sources = Sources::new();
    let source = sources.add("m.node", program);
    let mut sink = Sink::new();
    let parsed = parse(source, program, &mut sink);
    assert!(!sink.has_errors(), "{:#?}", sink.diagnostics());
    let request = Request { file: &parsed.file, profile, flags, names: &["mu", "steps"] };
    let settings = resolve(&request, &mut sources, &mut sink);
    Run { settings, diagnostics: sink.into_diagnostics(), sources }
}

#[test]
fn nothing_said_gives_the_documented_defaults() {
    let run = run("", None, &[]);
    let settings = run.ok();
    assert_eq!((settings.solve.method.name, settings.solve.rtol, settings.solve.atol), ("tsit5", 1e-6, 1e-8));
    assert_eq!((settings.solve.dt, &settings.solve.save), (None, &Save::Steps));
    assert_eq!(settings.solve.error_norm, ErrorNorm::States);
    assert_eq!(
        settings.train.optimizer,
        OptimizerChoice::Adam(Moments { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 })
    );
    assert_eq!((settings.run.seed, settings.run.precision), (0, Precision::F64));
}

#[test]
fn later_wins_and_is_remembered() {
    let program = "solve { rtol = 1e-3, atol = 1/8, atol.y = 1e-12 }\nprofile eval { solve.rtol = 1e-7 }\n";
    assert_eq!(run(program, None, &[]).ok().solve.rtol, 1e-3);
    assert_eq!(run(program, Some("eval"), &[]).ok().solve.rtol, 1e-7);
    let all = run(program, Some("eval"), &["rtol=1e-9", "atol.z=1e-10"]);
    let settings = all.ok();
    assert_eq!((settings.solve.rtol, settings.solve.atol), (1e-9, 0.125));
    let states: Vec<_> = settings.solve.atol_states.iter().map(|t| (t.state.as_str(), t.value)).collect();
    assert_eq!(states, [("y", 1e-12), ("z", 1e-10)]);
    let row = |key: &str| settings.resolved.iter().find(|row| row.key == key).expect("listed");
    assert!(matches!(row("solve.rtol").origin, Origin::CommandLine(_)));
    assert!(matches!(row("solve.atol").origin, Origin::File(_)));
    assert_eq!(row("run.seed").origin, Origin::BuiltIn);
    let text = listing(&settings.resolved, &all.sources);
    assert!(text.contains("solve.rtol") && text.contains("# --set rtol=1e-9: relative error"), "{text}");
    assert!(text.contains("# m.node:1: absolute error"), "{text}");
}

#[test]
fn program_3_1_trains_with_lbfgs() {
    let run = run(
        "solve { method = dopri5, rtol = 1e-8, atol = 1e-8 }\ntrain { optimizer = lbfgs(), steps = 300 }\n",
        None,
        &["memory=5"],
    );
    let settings = run.ok();
    assert_eq!(settings.solve.method.name, "dopri5");
    assert_eq!(settings.train.optimizer, OptimizerChoice::Lbfgs { memory: 5 });
    assert_eq!(settings.train.steps, 300);
}

#[test]
fn times_are_lists_and_spaces() {
    let save = |value: &str| run(&format!("solve {{ save = {value} }}"), None, &[]).ok().solve.save.clone();
    assert_eq!(save("every(0.02)"), Save::Every(0.02));
    assert_eq!(save("[1, 2.5]"), Save::At(vec![1.0, 2.5]));
    assert_eq!(save("linspace(0, 1, 5)"), Save::At(vec![0.0, 0.25, 0.5, 0.75, 1.0]));
    let Save::At(times) = save("logspace(-5, 5, 200)") else { panic!("a list of times") };
    assert_eq!((times.len(), times[199]), (200, 1e5));
    // 10^-5 in the nearest doubles.
    assert!((times[0] - 1e-5).abs() <= 1e-5 * f64::EPSILON);
}

#[test]
fn names_of_the_model_pass_through_and_win() {
    let run = run("", None, &["mu = 50", "steps=3"]);
    let (settings, overrides) = run.settings.as_ref().expect("no mistake");
    let names: Vec<&str> = overrides.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["mu", "steps"]);
    assert_eq!(settings.train.steps, 1000);
    assert_eq!(run.sources.slice(overrides[0].value.span), "50");
}

#[test]
fn a_mistyped_setting_is_shown_on_the_command_line() {
    // LANGUAGE.md 4.16
    let wrong = run("", None, &["lrate=3e-4"]);
    assert_eq!(wrong.only(), "E0801 command line:1:7 lrate: no setting or param is called `lrate`");
    let shown = render(&wrong.diagnostics, &wrong.sources, Format::Full, false);
    let expected = "\
error[E0801]: no setting or param is called `lrate`
 --> command line:1:7
  |
1 | --set lrate=3e-4
  |       ^^^^^ not in this model
  |
  = help: did you mean `lr`, which is `train.optimizer.lr` (now 1e-3)?
  = help: `nodec config model.node` lists every setting with its value and where it came from

";
    assert_eq!(shown, expected, "\n{shown}");
    assert_eq!(
        run("solve { rtoll = 1 }", None, &[]).only(),
        "E0801 m.node:1:9 rtoll: no setting is called `solve.rtoll`"
    );
    assert_eq!(run("train { optimizer = lbfgs() }", None, &["lr=1"]).only().split(' ').next(), Some("E0801"));
}

#[test]
fn a_last_part_of_several_settings_is_ambiguous() {
    let run = run("train { schedule = warmup(10) }", None, &["train.steps=5", "schedule.steps=7"]);
    assert_eq!(run.ok().train.steps, 5);
    let flags = [Flag::set("train.schedule=warmup(10)").unwrap(), Flag::set("steps=7").unwrap()];
    let mut sources = Sources::new();
    let source = sources.add("m.node", "");
    let mut sink = Sink::new();
    let file = parse(source, "", &mut sink).file;
    let request = Request { file: &file, profile: None, flags: &flags, names: &[] };
    assert!(resolve(&request, &mut sources, &mut sink).is_none());
    assert_eq!(sink.diagnostics()[0].message, "`steps` is the end of several settings");
    assert_eq!(
        sink.diagnostics()[0].helps[0].text,
        "write the whole name: `train.steps`, `train.schedule.steps`"
    );
}

#[test]
fn a_wrong_type_comes_with_the_documentation() {
    let wrong = run("solve { rtol = small }", None, &[]);
    assert_eq!(wrong.only(), "E0802 m.node:1:16 small: `solve.rtol` must be a number above 0");
    assert_eq!(wrong.diagnostics[0].notes, ["`solve.rtol`: relative error allowed in a step"]);
    for (program, message) in [
        ("solve { rtol = -1e-3 }", "`solve.rtol` must be a number above 0"),
        ("solve { max_steps = 0.5 }", "`solve.max_steps` must be a whole number of at least 1"),
        ("run { precision = f16 }", "`run.precision` must be one of `f64`, `f32`"),
        ("train { optimizer = adam(rate = 1) }", "`adam` has no argument `rate`"),
        ("train { optimizer = lbfgs(1, 2) }", "`lbfgs` has only 1 arguments"),
        ("train { optimizer = adam(lr = 0) }", "`train.optimizer.lr` must be a number above 0"),
        ("solve { adjoint = checkpoint() }", "`checkpoint` needs its argument `states`"),
        (
            "solve { adjoint = backsolve(norm = max) }",
            "`solve.adjoint.norm` must be one of `default`, `seminorm`",
        ),
        ("solve { save = every() }", "`every` needs its argument `dt`"),
        ("solve { method = dopri6 }", "no method is called `dopri6`"),
    ] {
        let run = run(program, None, &[]);
        assert_eq!(run.diagnostics[0].message, message, "{program}");
        assert_eq!(run.diagnostics[0].code.0, "E0802");
    }
    let alias = run_flags("", None, &[Flag::alias("rtol", "solve.rtol", "0")]);
    assert_eq!(alias.only(), "E0802 command line:1:8 0: `solve.rtol` must be a number above 0");
}

#[test]
fn what_is_not_built_says_so() {
    let run = run("solve { step = shared }", None, &[]);
    assert_eq!(run.diagnostics.len(), 1, "{:#?}", run.diagnostics);
    let message = "`solve.step = shared` is not supported yet";
    assert_eq!((run.diagnostics[0].code.0, run.diagnostics[0].message.as_str()), ("E0290", message));
}

#[test]
fn an_unknown_profile_lists_the_known() {
    let run = run("profile smoke { train.steps = 2 }", Some("smok"), &[]);
    assert_eq!(run.only(), "E0801 command line:1:11 smok: no profile is called `smok`");
    assert_eq!(run.helps(), ["the file has `smoke`"]);
}

#[test]
fn every_default_in_the_table_is_one_that_can_be_written() {
    for row in SETTINGS {
        let Some(default) = row.default else { continue };
        let (group, key) = row.key.split_once('.').expect("keys are dotted");
        let written = run(&format!("{group} {{ {key} = {default} }}"), None, &[]);
        let silent = run("", None, &[]);
        let text = |run: &Run| {
            format!(
                "{:?} {:?} {:?}",
                (&run.ok().solve.save, run.ok().solve.rtol),
                run.ok().train,
                run.ok().run
            )
        };
        assert_eq!(text(&written), text(&silent), "{}", row.key);
    }
}

#[test]
fn training_settings_as_the_language_spells_them() {
    let program = "train {\n optimizer = sgd(lr = 0.1, momentum = 0.9, nesterov = true)\n \
                   schedule = decay(at = [60, 100], by = 0.1)\n batch = 100, epochs = 160, clip = 1.5\n \
                   early_stop = patience(30, on = obs.y), valid_every = 10, checkpoint = 5\n}";
    let run = run(program, None, &["momentum=0.5"]);
    let train = &run.ok().train;
    let sgd = OptimizerChoice::Sgd { lr: 0.1, momentum: 0.5, nesterov: true, weight_decay: 0.0 };
    assert_eq!((train.optimizer, train.batch, train.epochs), (sgd, Some(100), Some(160)));
    // With epochs and no steps, only epochs count.
    assert_eq!(
        (train.steps, train.clip, train.valid_every, train.checkpoint),
        (u64::MAX, Some(1.5), Some(10), Some(5))
    );
    assert_eq!(train.schedule, Schedule::Decay { at: vec![60, 100], by: 0.1 });
    let patience = train.early_stop.as_ref().expect("it is set");
    assert_eq!((patience.looks, patience.on.as_str()), (30, "obs.y"));
    let both = self::run("train { epochs = 3, steps = 7, schedule = cosine(100) }", None, &[]);
    assert_eq!(both.ok().train.steps, 7);
    assert_eq!(both.ok().train.schedule, Schedule::Cosine { steps: 100, floor: 0.0 });
    let wrong = self::run("train { schedule = decay(at = [5, 5], by = 0.1) }", None, &[]);
    assert_eq!(
        wrong.only(),
        "E0802 m.node:1:31 [5, 5]: `train.schedule.at` must be a list of whole numbers of at least 1, each \
         larger than the one before"
    );
}

#[test]
fn a_system_may_be_solved_otherwise() {
    let program = "solve { rtol = 1e-3 }\nsystem Own { solve { dt = 0.5 } }\nsystem Other { }\n\
                   profile eval { solve.atol = 1e-2, Other.solve.rtol = 1e-4 }";
    let plain = run(program, None, &[]);
    let solve = |run: &Run, name: &str| {
        let solve = run.ok().solve_of(&[name]);
        (solve.rtol, solve.atol, solve.dt)
    };
    // A block of its own starts from what is built in, not from the file's block.
    assert_eq!(solve(&plain, "Own"), (1e-6, 1e-8, Some(0.5)));
    assert_eq!(solve(&plain, "Other"), (1e-3, 1e-8, None));
    let eval = run(program, Some("eval"), &[]);
    assert_eq!(solve(&eval, "Own"), (1e-6, 1e-2, Some(0.5)));
    assert_eq!(solve(&eval, "Other"), (1e-4, 1e-2, None));
    assert_eq!(solve(&eval, "main"), (1e-3, 1e-2, None));
    // `mu` stands for a param that is a system.
    let set = run(program, None, &["mu.solve.rtol=1e-9", "solve.rtol=1e-5", "rtol=1e-7", "mu.solve.dt=1"]);
    assert_eq!(solve(&set, "mu"), (1e-7, 1e-8, Some(1.0)));
    assert_eq!(solve(&set, "Own"), (1e-7, 1e-8, Some(0.5)));
    let unknown = run(program, None, &["nu.solve.rtol=1e-9"]);
    assert_eq!(unknown.diagnostics[0].code.0, "E0801");
}

#[test]
fn a_profile_may_set_numbers_of_the_model() {
    let run = run("profile smoke { mu = 3, train.steps = 2 }", Some("smoke"), &["mu=4"]);
    let (settings, overrides) = run.settings.as_ref().expect("fine");
    assert_eq!(settings.train.steps, 2);
    let values: Vec<_> =
        overrides.iter().map(|o| (o.name.as_str(), nodec::settings::value::number(&o.value))).collect();
    assert_eq!(values, [("mu", Some(3.0)), ("mu", Some(4.0))], "the command line comes last and wins");
}

/// `run.cpu = baseline` changes the last bits (nothing is fused), and does so alike on both back ends.
#[test]
fn the_baseline_solves_alike() {
    let model = nodec::Model::parse(
        "
        time t in 0..10
        state x = 2.0, x' = 0.0
        x'' = (1 - x^2)*x' - x
        channel work' = exp(-x^2)
        solve { rtol = 1e-10, atol = 1e-10 }
        output at_end = x(end)
        ",
    )
    .unwrap();
    let solved = |cpu: &str, backend: &str| {
        let run = model.bind().setting("run.cpu", cpu).setting("run.backend", backend).build().unwrap();
        let solution = run.solve().unwrap();
        let at_end = solution.trajectories().iter().map(|one| one.at(10.0).unwrap()[0]);
        at_end.collect::<Vec<f64>>()
    };
    let (native, baseline) = (solved("native", "cranelift"), solved("baseline", "cranelift"));
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
    assert_eq!(bits(&baseline), bits(&solved("baseline", "interp")));
    assert_eq!(bits(&native), bits(&solved("native", "interp")));
    // mpmath 1.4.1, odefun with 25 digits: x(10).
    let x = -2.00834078257971;
    assert!((native[0] - x).abs() < 1e-7 && (baseline[0] - x).abs() < 1e-7, "{native:?} {baseline:?}");
}
