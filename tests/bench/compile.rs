//! From the text of a model to code that can be called, by size.

use nodec::Model;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

/// Nets of 2 to 4 layers of 32 to 512, 4 to 32 bodies, 10 to 100,000 equations: what the check takes
/// and what the check and the code of the step take; and how the latter grows, as a power of the size.
/// Of models whose name has one of `words`, where there are words.
pub fn table(words: &[String]) {
    println!("\n| model | ms to check | ms to be ready | power of the size |\n| --- | --- | --- | --- |");
    let mut before: Option<(&str, f64, f64)> = None;
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    for (kind, name, size, text) in models().into_iter().filter(|(_, name, ..)| wanted(name)) {
        let [checked, ready] = [false, true].map(|compiled| {
            let measure = || {
                let begun = Instant::now();
                let model = Model::parse(&text).unwrap_or_else(|error| panic!("{error}"));
                if compiled {
                    black_box(model.bind().build().expect("it compiles"));
                }
                begun.elapsed().as_secs_f64() * 1e3
            };
            (0..3).map(|_| measure()).fold(f64::INFINITY, f64::min)
        });
        let power = before.filter(|(other, ..)| *other == kind);
        let power = power.map(|(_, was, took)| (ready / took).ln() / (size / was).ln());
        let power = power.map_or(String::new(), |power| format!("{power:.2}"));
        println!("| {name} | {checked:.1} | {ready:.1} | {power} |");
        before = Some((kind, size, ready));
    }
}

/// The kind, the name, the size and the text.
fn models() -> Vec<(&'static str, String, f64, String)> {
    let mut models = Vec::new();
    for (layers, width) in [(2, 32), (2, 128), (2, 512), (4, 32), (4, 128), (4, 512)] {
        let hidden = vec![width.to_string(); layers].join(", ");
        let text = format!(
            "use std.layers (MLP)\nparam net = MLP(hidden = [{hidden}], act = tanh)\ntime t in 0..1\n\
             state y: [2] = [1, 0.5]\ny' = net(y)\n"
        );
        let kind = if layers == 2 { "two layers" } else { "four layers" };
        models.push((kind, format!("a net of {layers} layers of {width}"), f64::from(width), text));
    }
    let choice = "param W: [860, 43] = glorot(), V: [860, 860] = glorot(), U: [43, 860] = glorot()\n\
        time t in 0..1\nstate z: [43] = ones(43)\nlet h = V @ tanh(W @ z)\n";
    for (name, of) in [("h", "h"), ("if h > 0 then h else 0.1*h", "(if h > 0 then h else 0.1*h)")] {
        models.push((name, format!("43–860–860–43, {name}"), 860.0, format!("{choice}z' = U @ {of}\n")));
    }
    for n in [4, 8, 16, 32] {
        let places: Vec<String> =
            (0..n).map(|i| format!("[{}, {}, {}]", i, (i * 7) % n, (i * 5) % 3)).collect();
        let text = format!(
            "time t in 0..1\nstate q: [{n}, 3] = [{}], q' = zeros({n}, 3)\n\
             q'' = [sum([(q[j] - q[i])/(sum((q[j] - q[i])^2) + 0.01)^1.5 for j in 0..{n}], axis = 0) for i in 0..{n}]\n",
            places.join(", ")
        );
        models.push(("bodies", format!("{n} bodies"), f64::from(n * n), text));
    }
    for n in [10, 100, 1_000, 10_000, 100_000] {
        let mut text = String::from("time t in 0..1\nparam k = 0.5\n");
        for i in 0..n {
            let next = (i + 1) % n;
            writeln!(text, "state x{i} = 1.0\nx{i}' = k*(x{next} - x{i}) - x{i}^2").expect("a text");
        }
        models.push(("equations", format!("{n} equations"), f64::from(n), text));
    }
    models
}
