//! What goes wrong goes wrong politely: for each bad input the exit code, the code of the first
//! message, and the text that its span covers, in the model or in the file of data.

use nodec::cli::{Exit, run};
use std::ffi::OsString;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DECAY: &str = "param k in positive = 0.5\ntime t in 0..10\nstate x = 1.0\nx' = -k*x\n";
const FIT: &str = "data obs = csv(\"d.csv\") {\n  t: [T]\n  y: [T]\n}\n\
                   param k in positive = 0.5\ntime t in 0..10\nstate x = 1.0\nx' = -k*x\n\
                   obs.y ~ normal(x(obs.t), 0.1)\n";

/// Runs `model` beside `d.csv` with further arguments; `spanned` is empty where no span is expected.
#[track_caller]
fn check_run(model: &[u8], csv: Option<&[u8]>, args: &[&str], exit: Exit, code: &str, spanned: &str) {
    static CASES: AtomicUsize = AtomicUsize::new(0);
    let case = CASES.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("nodec-bad-{}-{case}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("m.node");
    fs::write(&file, model).unwrap();
    if let Some(csv) = csv {
        fs::write(folder.join("d.csv"), csv).unwrap();
    }
    let out = folder.join("out");
    let mut line = vec!["nodec", "run", file.to_str().unwrap(), "--message-format", "json"];
    line.extend(["--out", out.to_str().unwrap()]);
    line.extend(args);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let found = run(line.iter().map(OsString::from), &mut stdout, &mut stderr);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(found, exit, "{stderr}");
    let message = stderr.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let first = message.into_iter().find(|message| message["severity"] == "error").expect("an error");
    assert_eq!(first["code"].as_str(), Some(code), "{stderr}");
    let span = first["spans"].as_array().and_then(|spans| spans.iter().find(|span| span["primary"] == true));
    let text = span.map_or_else(String::new, |span| {
        let name = span["file"].as_str().unwrap();
        let text = if name == "command line" {
            args.join(" ")
        } else if name.ends_with("m.node") {
            fs::read_to_string(&file).unwrap()
        } else {
            fs::read_to_string(folder.join("d.csv")).unwrap()
        };
        let (lo, hi) = (span["start"].as_u64().unwrap() as usize, span["end"].as_u64().unwrap() as usize);
        text[lo..hi].to_owned()
    });
    assert_eq!(text, spanned, "{stderr}");
    fs::remove_dir_all(folder).unwrap();
}

#[track_caller]
fn check(model: &str, code: &str, spanned: &str) {
    check_run(model.as_bytes(), None, &[], Exit::Program, code, spanned);
}

#[track_caller]
fn check_csv(csv: &[u8], code: &str, spanned: &str) {
    check_run(FIT.as_bytes(), Some(csv), &[], Exit::Program, code, spanned);
}

#[track_caller]
fn check_set(set: &str, code: &str, spanned: &str) {
    check_run(DECAY.as_bytes(), None, &["--set", set], Exit::Program, code, spanned);
}

#[test]
fn files_of_data() {
    check_csv(b"t,z\n0,1\n1,0.6\n", "E0703", "y");
    check_csv(b"t,y,y\n0,1,2\n", "E0703", "y");
    check_csv(b"t;y\n0;1\n", "E0703", "t;y");
    check_csv(b"t\ty\n0\t1\n", "E0703", "t\ty");
    check_csv(b"t,y\n0,1\n1,\"0.6\n", "E0705", "\"0.6");
    check_csv(b"t,y\n0,1\n1,\"0.6\n2,0.4\n", "E0705", "\"0.6");
    check_csv(b"\xef\xbb\xbf\"t,y\n0,1\n", "E0705", "\"t,y");
    check_csv(b"t,y\n0,1\n1,\"0.6\"\"\n", "E0705", "\"0.6\"\"");
    check_csv(b"t,y\n0,1\n1,abc\n", "E0705", "abc");
    check_csv(b"t,y\n0,1\n1,NaN\n", "E0705", "NaN");
    check_csv(b"t,y\n0,1\n1,inf\n", "E0705", "inf");
    check_csv(b"t,y\n0,1\n1,1e400\n", "E0705", "1e400");
    check_csv(b"t,y\n0,1\n1\n2,3\n", "E0704", "1");
    check_csv(b"t,y\n0,1\n1,2,3\n", "E0704", "1,2,3");
    check_csv(b"", "E0702", "\"d.csv\"");
    check_csv(b"t,y\n", "E0702", "\"d.csv\"");
    check_csv(b"t,y\n0,\xe9\n", "E0701", "\"d.csv\"");
    check(FIT, "E0701", "\"d.csv\"");
    check_run(FIT.as_bytes(), Some(b"t,y\n0,1\n20,0\n"), &[], Exit::Numbers, "E0906", "obs.t");
}

#[test]
fn names_and_shapes() {
    check("", "E0513", "");
    check("# nothing\n", "E0513", "");
    check(&DECAY.replace("-k*x", "-kk*x"), "E0201", "kk");
    check(&DECAY.replace("-k*x", "-kk*x").replace('\n', "\r\n"), "E0201", "kk");
    check("param κ = 0.5\ntime t in 0..1\nstate θ = 1.0\nθ' = -κ*θ*ŷ\n", "E0201", "ŷ");
    check("time t in 0..1\nstate x: [2] = [1, 2]\nx' = [1, 2, 3]*x\n", "E0304", "*");
    check("time t in 0..1\nstate x: [2] = [1, 2, 3]\nx' = -x\n", "E0301", "[1, 2, 3]");
    check("time t in 0..1\nstate x: [2] = [1, 2]\nx' = [x[0], x[2]]\n", "E0309", "2");
    check(&DECAY.replace("= 0.5", "= -1"), "E0806", "-1");
    check(&format!("{DECAY}x' = 2\n"), "E0504", "x' = 2");
    check(&format!("{DECAY}sweep kk in linspace(0, 1, 3)\n"), "E0201", "kk");
    check(&format!("{DECAY}sweep x in linspace(0, 1, 3)\n"), "E0203", "x");
    check(&format!("{DECAY}sweep k in linspace(0, 1, 0)\n"), "E0203", "linspace(0, 1, 0)");
    check(&format!("{DECAY}sweep k in 3\n"), "E0308", "3");
    check(
        &format!("{DECAY}sweep k in linspace(1, 2, 100_000_000)\n"),
        "E0311",
        "linspace(1, 2, 100_000_000)",
    );
    check(&format!("{DECAY}ensemble 0 {{ x(start) ~ normal(1, 1) }}\n"), "E0203", "0");
    check(&format!("{DECAY}ensemble 3 {{ x(end) ~ normal(1, 1) }}\n"), "E0203", "x(end)");
    check(&format!("{DECAY}ensemble 1e9 {{ k ~ normal(1, 1) }}\n"), "E0307", "1e9");
    check(&format!("{DECAY}ensemble 1_000_000_000 {{ k ~ normal(1, 1) }}\n"), "E0810", "ensemble");
    check(&format!("{DECAY}solve {{ rtol = \"a\" }}\n"), "E0802", "\"a\"");
    check(&format!("{DECAY}solve {{ rtoll = 1 }}\n"), "E0801", "rtoll");
}

#[test]
fn the_command_line() {
    check_set("q=1", "E0801", "q");
    check_set("k=abc", "E0802", "abc");
    check_set("k=-1", "E0806", "k");
    check_set("rtol=-1", "E0802", "-1");
    check_set("solve.rtoll=1", "E0801", "solve.rtoll");
    check_set("k=1e400", "E0109", "1e400");
    check_set("k=2;3", "E0100", ";");
    let vector =
        "const c = [1.0, 2.0]\nparam p: [2] = [1.0, 2.0]\ntime t in 0..1\nstate x: [2] = c\nx' = -p*x\n";
    let set = |set: &str, code: &str, spanned: &str| {
        check_run(vector.as_bytes(), None, &["--set", set], Exit::Program, code, spanned);
    };
    set("p=[3]", "E0802", "p");
    set("p=[1, 2, 3]", "E0802", "p");
    set("c=[3]", "E0802", "[1.0, 2.0]");
    set("p=-1,2", "E0100", ",");
}

#[test]
fn one_number_fills_a_tensor_and_a_list_of_one_does_not() {
    let text = "param p: [2] = [1.0, 2.0]\ntime t in 0..1\nstate x: [2] = [1.0, 1.0]\nx' = -p*x\n";
    let model = nodec::Model::parse(text).unwrap();
    let values = |binder: nodec::Binder| binder.build().map(|run| run.params()[0].values.clone()).ok();
    assert_eq!(values(model.bind().assign("p=3")), Some(vec![3.0, 3.0]));
    assert_eq!(values(model.bind().set("p", 3.0)), Some(vec![3.0, 3.0]));
    assert_eq!(values(model.bind().set_all("p", &[3.0, 4.0])), Some(vec![3.0, 4.0]));
    assert_eq!(values(model.bind().set_all("p", &[3.0])), None);
    assert_eq!(values(model.bind().assign("p=[3]")), None);
}

/// What the message for `model` with `--set set` says.
fn words(model: &str, set: Option<&str>) -> String {
    let words = nodec::Model::parse(model).and_then(|model| match set {
        Some(set) => model.bind().assign(set).build(),
        None => model.bind().build(),
    });
    words.err().map_or_else(String::new, |diagnostics| diagnostics.render())
}

#[test]
fn the_words() {
    let says = |model: &str, set: Option<&str>, expected: &str| {
        let found = words(model, set);
        assert!(found.contains(expected), "{found}");
    };
    let plain = "time t in 0..1\nstate x: [2] = [1, 2]\nx' = -x\n";
    let vector = format!("{plain}param p: [2] = [1, 2]\n");
    says(&vector, Some("p=-1,2"), "1 | --set p=[-1,2]\n  |         +    +");
    says(&vector, Some("p=2;3"), "expected the end of the line, found `;`");
    says(&format!("{plain}output o = x[\"a\"]\n"), None, "an index is a whole number");
    says(&format!("{plain}output o = x[0][0]\n"), None, "1 index for a scalar");
    says(&format!("{plain}param p in interval(2, 1)\n"), None, "the wrong way round");
    says("const n = -3\ntime t in 0..1\nparam p: [n]\nstate x = 1.0\nx' = -x\n", None, "negative: -3");
    says("const n = -3\ntime t in 0..1\nstate x: [n] = zeros(n)\nx' = -x\n", None, "negative: -3");
    says("time t in 0..1\nstate x: [3] = zeros([-3])\nx' = -x\n", None, "negative: -3");
}

#[test]
fn a_message_about_no_text_has_no_gutter() {
    let mut run =
        nodec::Model::parse("time t in 0..1\nstate x = 1.0\nx' = -x\n").unwrap().bind().build().unwrap();
    let error = run.fit(|_| std::ops::ControlFlow::Continue(())).err().unwrap();
    assert_eq!(
        error.diagnostics().render().trim_end(),
        "error[E0807]: there is nothing to fit: the model has no loss\n\
         help: add `loss name = ...` or a likelihood, `data ~ ...`"
    );
}

#[test]
fn numbers() {
    let pole = "time t in 0..10\nstate x = 1.0\nx' = x^2\n";
    check_run(pole.as_bytes(), None, &[], Exit::Numbers, "E0901", "x^2");
    let log = "time t in 0..10\nstate x = 0.0\nx' = log(x)\n";
    check_run(log.as_bytes(), None, &[], Exit::Numbers, "E0902", "log(x)");
    let rows = format!("{DECAY}solve {{ save = every(1e-12) }}\n");
    check_run(rows.as_bytes(), None, &[], Exit::Numbers, "E0906", "");
}

#[test]
fn too_much_of_a_good_thing() {
    let deep = |open: &str, close: &str| {
        format!("time t in 0..1\nstate x = 1.0\nx' = {}x{}\n", open.repeat(50_000), close.repeat(50_000))
    };
    check(&deep("(", ")"), "E0114", "(");
    check(&deep("-", ""), "E0114", "-");
    let doubled: String = (1..40).map(|i| format!("fn f{i}(a) = f{}(a) + f{}(a)\n", i - 1, i - 1)).collect();
    check("const N = 1000000000\ntime t in 0..1\nstate x: [N] = zeros([N])\nx' = -x\n", "E0311", "x");
    check(
        "const N = 1000000000000\ntime t in 0..1\nstate x = 1.0\nx' = -x*sum(zeros([N, N, N]))\n",
        "E0311",
        "zeros([N, N, N])",
    );
    let outer = "const N = 100000\ntime t in 0..1\nstate x: [N] = ones([N])\nx' = x*sum(outer(x, x))\n";
    check(outer, "E0311", "outer(x, x)");
    let states: String = (0..3).map(|i| format!("state x{i}: [N] = ones([N])\nx{i}' = -x{i}\n")).collect();
    check(&format!("const N = 8000000\ntime t in 0..1\n{states}"), "E0311", "x2");
    let never = "time t in 0..1\nstate x = 1.0\nx' = -x*sum(1.0 for i in 0..1000000000 if i < 0)\n";
    check(never, "E0311", "1.0");
    let many = "time t in 0..1\nstate x = 1.0\nx' = -x*sum([1.0 for i in 0..1000000000])\n";
    check(many, "E0290", "1.0");
    let wide = |n: usize, e: &str| {
        format!("const N = {n}\ntime t in 0..1\nstate x: [N] = ones([N])\nx' = -x*x\nchannel c' = {e}\n")
    };
    check(&wide(10_000, "div(x', x)"), "E0290", "div(x', x)");
    check(&wide(2_000, "sum(jac(x', x))"), "E0290", "jac(x', x)");
    let fine = nodec::Model::parse(&wide(100, "div(x', x)")).unwrap();
    assert!(fine.bind().check().is_ok());
    check(
        &format!("{DECAY}solve {{ save = linspace(0, 1, 1000000000) }}\n"),
        "E0802",
        "linspace(0, 1, 1000000000)",
    );
    check(&format!("fn f0(a) = a\n{doubled}time t in 0..1\nstate x = 1.0\nx' = f39(x)\n"), "E0290", "f3(a)");
}

#[test]
fn a_model_without_states_runs() {
    let model = nodec::Model::parse("time t in 0..1\nparam k = 1\n").unwrap();
    let solution = model.bind().build().unwrap().solve().unwrap();
    assert!(solution.trajectories().is_empty());
}

/// 2,000 states took 27 s before the work for each was independent of their number.
#[test]
fn a_system_of_thousands_of_equations_is_checked_and_compiled_in_seconds() {
    let n = 2_000;
    let mut text = String::from("param k = 0.5\ntime t in 0..1\n");
    for i in 0..n {
        text += &format!("state x{i} = 1.0\nx{i}' = -k*x{i} + 0.6*x{}\n", (i + 1) % n);
    }
    let begun = Instant::now();
    let model = nodec::Model::parse(&text).unwrap();
    model.bind().check().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "checked in {:?}", begun.elapsed());
    let solution = model.bind().rtol(1e-10).atol(1e-12).build().unwrap().solve().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "run in {:?}", begun.elapsed());
    // All start alike and stay so: x' = (0.6 - 0.5)*x.
    let x = solution["x1999"].scalar_at(1.0).unwrap();
    assert!((x - 0.1_f64.exp()).abs() < 1e-9, "{x}");
}
