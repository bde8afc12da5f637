//! Draws, and what counts a training, as ports of a program.

use nodec::base::span::Sources;
use nodec::diag::Sink;
use nodec::ir::eval::eval;
use nodec::ir::program::{Axis, Draw, Examples, PortSource, Program};
use nodec::ir::tensor::Tensor;
use nodec::sema::library::Files;
use nodec::sema::{self, Bindings, Known};
use nodec::syntax::parse;
use std::collections::BTreeSet;
use std::sync::Arc;

const SYSTEM: &str = "time t in 0..1\nstate x = 0.0\nx' = 1\n";

/// The program of these lines, or the codes and places of its messages.
fn program(lines: &str) -> Result<Program, Vec<(String, String)>> {
    let text = format!("{SYSTEM}{lines}");
    let mut sources = Sources::new();
    let source = sources.add("test.node", &*text);
    let mut sink = Sink::new();
    let file = parse(source, &text, &mut sink).file;
    let mut read = |_: &str| Err("there is no such file".to_owned());
    let files = Files::gather(Arc::new(file), &mut sources, &mut sink, &mut read);
    let checked = sema::check(&Arc::new(files), &sources, &Known::default(), &mut sink);
    let program = sema::elaborate(&checked, &Bindings::default(), &sources, &mut sink);
    program.ok_or_else(|| {
        let said = sink.diagnostics().iter().map(|diagnostic| {
            let marked = diagnostic.primary.as_ref().map_or("", |label| sources.slice(label.span));
            (diagnostic.code.to_string(), marked.to_owned())
        });
        said.collect()
    })
}

fn good(lines: &str) -> Program {
    program(lines).unwrap_or_else(|said| panic!("{lines}: {said:?}"))
}

/// What the whole run computes from its times, params and data, listed in order.
fn results(program: &Program, args: &[&[f64]]) -> Vec<f64> {
    let types = program.post.param_types();
    let args: Vec<Tensor> =
        types.zip(args).map(|(ty, data)| Tensor::new(ty.clone(), data.to_vec())).collect();
    let results = eval(&program.post, &args).expect("the function has no requests");
    results.into_iter().flat_map(|tensor| tensor.data).collect()
}

#[test]
fn a_draw_is_a_standard_draw_carried_to_its_distribution() {
    let program = good(
        "param m = 1.0, s = 2.0\nrandom eps: [2] ~ normal(m, s)\nrandom u ~ uniform(-1, 3)\n\
         loss a = sum(eps) + u\n",
    );
    assert_eq!(program.examples, Examples::Samples);
    let ports: Vec<_> = program.data.iter().map(|port| (&*port.path, &port.source, port.axis)).collect();
    let expected = [
        ("eps", &PortSource::Drawn(Draw::Normal), Axis::Example),
        ("u", &PortSource::Drawn(Draw::Uniform), Axis::Example),
    ];
    assert_eq!(ports, expected);
    assert_eq!(program.data[0].ty.shape.dims(), [2]);
    // (1 + 2·0.5) + (1 - 2·0.25) + (-1 + 4·0.75)
    assert_eq!(results(&program, &[&[0.0], &[1.0], &[1.0], &[2.0], &[0.5, -0.25], &[0.75]]), [4.5]);
}

/// Expected values: the inverse distribution functions of scipy 1.17.1 (`expon.isf`, `cauchy.ppf`,
/// `laplace.ppf`) at 0.2.
#[test]
fn other_distributions_are_drawn_by_their_inverse() {
    let program = good(
        "random a ~ exponential(2)\nrandom b ~ cauchy(1, 2)\nrandom c ~ laplace(1, 2)\n\
         random d ~ lognormal(1, 2)\nrandom e ~ rademacher()\nloss l = a\nloss m = b\nloss n = c\n\
         loss o = d\nloss p = e\n",
    );
    let found = results(&program, &[&[0.0], &[1.0], &[0.2], &[0.2], &[0.2], &[-0.5], &[-1.0]]);
    let expected = [0.804_718_956_217_050_1, -1.752_763_840_942_346_2, -0.832_581_463_748_310_1, 1.0, -1.0];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }
}

#[test]
fn every_sample_that_is_written_is_a_draw_of_its_own() {
    let distinct = |lines: &str| {
        let program = good(lines);
        let paths: BTreeSet<_> = program.data.iter().map(|port| port.path.clone()).collect();
        assert_eq!(paths.len(), program.data.len(), "{lines}");
        paths.len()
    };
    assert_eq!(distinct("loss a = sample(normal(0, 1))*sample(normal(0, 1))\n"), 2);
    assert_eq!(distinct("fn f(s) = sample(normal(0, s))\nloss a = f(1)*f(1)\n"), 2);
    // A name is drawn once, wherever it is used first, and so is each part of a pattern.
    assert_eq!(distinct("let u = sample(normal(0, 1))\nfn f() = u\nloss a = f()*u*f()\n"), 1);
    assert_eq!(distinct("let (u, v) = (sample(uniform(0, 1)), 2)\nloss a = u*v\n"), 1);
    assert_eq!(distinct("let (u, v) = split(sample(uniform([0, 0], 1)), 2)\nloss a = sum(u*v)\n"), 1);
    assert_eq!(distinct("loss a = fold h = 0 for k in 0..3 { h + sample(normal(0, 1)) }\n"), 3);
}

#[test]
fn the_step_and_the_epoch_are_the_same_for_all_examples() {
    let program = good("loss a = 2*step + epoch\nloss b = epoch\n");
    assert_eq!(program.examples, Examples::One);
    let ports: Vec<_> = program.data.iter().map(|port| (&port.source, port.axis)).collect();
    assert_eq!(ports, [(&PortSource::Step, Axis::Whole), (&PortSource::Epoch, Axis::Whole)]);
    assert_eq!(results(&program, &[&[0.0], &[1.0], &[3.0], &[5.0]]), [11.0, 5.0]);
    assert!(good("const step = 1\nloss a = step\n").data.is_empty());
}

#[test]
fn misuse_of_draws_is_said_where_it_stands() {
    let said = |lines: &str| match program(lines) {
        Ok(_) => panic!("{lines} is accepted"),
        Err(said) => said,
    };
    let one = |code: &str, marked: &str| vec![(code.to_owned(), marked.to_owned())];
    assert_eq!(
        said("loss a = sum(sample(normal(0, 1)) for k in 0..3 for j in 0..k)\n"),
        one("E0290", "sample(normal(0, 1))")
    );
    assert_eq!(said("random g ~ poisson(1e7)\nloss a = g\n"), one("E0290", "1e7"));
    assert_eq!(said("loss a = sum(sample(gamma(k, 1)) for k in 1..3)\n"), one("E0290", "k"));
    // The shape of a gamma draw acts on it, though by no expression.
    assert_eq!(said("const a = 2.0\nrandom g ~ gamma(a + 1, 1)\nloss l = grad(g^2, a)\n"), one("E0290", "g"));
    assert_eq!(said("random g ~ normal(x, 1)\nloss a = g\n"), one("E0401", "x"));
    assert_eq!(
        said("random g: [2] ~ normal([1, 2, 3], 1)\nloss a = sum(g)\n"),
        one("E0301", "normal([1, 2, 3], 1)")
    );
    assert_eq!(said("random g ~ normal(0, -1)\nloss a = g\n"), one("E0204", "-1"));
    assert_eq!(said("random g: int ~ normal(0, 1)\nloss a = g\n"), one("E0203", "int"));
}
