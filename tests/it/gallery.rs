//! The gallery of diagnostics: what a mistake looks like on the terminal, to the column.
//!
//! Of the gallery of the language these are cases of `tests/conformance/diagnostics/gallery.md`, beside
//! files of data: shapes of a layer (4.6) and `columns` (4.7), too few equations (4.9), a derivative
//! that is not linear (4.10), a column that is missing (4.14), a method for algebraic unknowns (4.15).
//! The step size that collapses (4.17) is a case of `tests/conformance/solvers/outcomes.md`.
//! Lines stand in the order of the file where the renderer puts them so (4.11, 4.13).

use nodec::base::span::Sources;
use nodec::diag::Sink;
use nodec::diag::render::{Format, render};

/// The messages for `text`, as if its first line were line `line` of `file`.
fn messages(file: &str, line: usize, text: &str, format: Format) -> String {
    let text = "\n".repeat(line - 1) + text;
    let mut sources = Sources::new();
    let source = sources.add(file, text.as_str());
    let mut sink = Sink::new();
    nodec::syntax::parse(source, &text, &mut sink);
    render(sink.diagnostics(), &sources, format, false)
}

#[track_caller]
fn check(file: &str, line: usize, text: &str, expected: &str) {
    assert_eq!(messages(file, line, text, Format::Full).trim_end(), expected.trim());
}

#[test]
fn juxtaposition() {
    check(
        "decay.node",
        4,
        "x' = -2k*x\n",
        "
error[E0110]: a number and a name need an operator between them
 --> decay.node:4:7
  |
4 | x' = -2k*x
  |       ^^ read as the number `2` followed by the name `k`
  |
help: write the multiplication out
  |
4 | x' = -2*k*x
  |        +",
    );
}

#[test]
fn an_operator_at_the_start_of_a_line() {
    check(
        "lotka.node",
        9,
        "x' = alpha*x\n   - beta*x*y\n",
        "
error[E0115]: this line starts with `-`, so it is a new item
  --> lotka.node:10:4
   |
 9 | x' = alpha*x
   |      ------- the equation for `x` ends here
10 |    - beta*x*y
   |    ^ did you mean to go on with the line above?
   |
   = help: end the line above with the `-`, or put the right-hand side in parentheses; every other operator may start a line",
    );
}

#[test]
fn a_bracket_that_is_never_closed() {
    check(
        "fit.node",
        12,
        "loss fit = mean((y(obs.t) - obs.y)^2\n\nsolve { method = dopri5 }\n",
        "
error[E0106]: this `(` is never closed
  --> fit.node:12:16
   |
12 | loss fit = mean((y(obs.t) - obs.y)^2
   |                ^ opened here
13 |
14 | solve { method = dopri5 }
   | ----- a new item starts here, so parsing went on from this line",
    );
}

#[test]
fn double_quotes() {
    check(
        "a.node",
        1,
        "let a = csv('a.csv')\n",
        "
error[E0101]: strings use double quotes
 --> a.node:1:13
  |
1 | let a = csv('a.csv')
  |             ^^^^^^^ `'` is the time derivative
  |
help: write
  |
1 - let a = csv('a.csv')
1 + let a = csv(\"a.csv\")
  |",
    );
}

#[test]
fn chained_comparisons() {
    check(
        "a.node",
        1,
        "let b = 0 < x < 1\n",
        "
error[E0131]: comparisons do not chain
 --> a.node:1:15
  |
1 | let b = 0 < x < 1
  |           -   ^ the second comparison
  |           |
  |           the first
  |
help: compare twice
  |
1 | let b = 0 < x and x < 1
  |               +++++",
    );
}

#[test]
fn short_and_json() {
    assert_eq!(
        messages("decay.node", 4, "x' = -2k*x\n", Format::Short),
        "decay.node:4:7: error[E0110]: a number and a name need an operator between them\n"
    );
    assert_eq!(
        messages("decay.node", 4, "x' = -2k*x\n", Format::Json),
        "{\"code\":\"E0110\",\"severity\":\"error\",\
         \"message\":\"a number and a name need an operator between them\",\
         \"spans\":[{\"primary\":true,\"label\":\"read as the number `2` followed by the name `k`\",\
         \"file\":\"decay.node\",\"line\":4,\"column\":7,\"start\":9,\"end\":11}],\"notes\":[],\
         \"helps\":[{\"message\":\"write the multiplication out\",\
         \"edits\":[{\"file\":\"decay.node\",\"line\":4,\"column\":8,\"start\":10,\"end\":10,\"text\":\"*\"}]}]}\n"
    );
}

/// What is wrong with the whole model `text`, called `file`.
#[track_caller]
fn check_model(file: &str, text: &str, expected: &str) {
    let model = nodec::Model::from_text(file, text, std::path::PathBuf::new());
    let message = match model {
        Ok(model) => model.bind().build().err().expect("a mistake").render(),
        Err(diagnostics) => diagnostics.render(),
    };
    assert_eq!(message.trim_end(), expected.trim());
}

#[test]
fn leibniz_notation() {
    check_model(
        "lotka.node",
        "param alpha = 1.0, beta = 1.0, delta = 1.0, gamma = 1.0\ntime t in 0..1\nstate x = 1.0\nstate y = 1.0\n\n\n\n\ndx/dt = alpha*x - beta*x*y\ny' = delta*x*y - gamma*y\n",
        "
error[E0112]: derivatives are written with a prime
 --> lotka.node:9:1
  |
9 | dx/dt = alpha*x - beta*x*y
  | ^^^^^ `dx` and `dt` are not defined, but `x` is a state
  |
help: write
  |
9 - dx/dt = alpha*x - beta*x*y
9 + x' = alpha*x - beta*x*y
  |",
    );
}

#[test]
fn a_misspelt_name() {
    check_model(
        "lotka.node",
        "param alpha = 1.0, beta = 1.0, delta = 1.0, gamma = 1.0\ntime t in 0..1\nstate x = 1.0\nstate y = 1.0\n\n\n\n\nx' = alpha*x - beta*x*y\ny' = delta*x*y - gama*y\n",
        "
error[E0201]: cannot find `gama` in this system
  --> lotka.node:10:18
   |
10 | y' = delta*x*y - gama*y
   |                  ^^^^ not a state, param, const, input or let
   |
help: a param with a similar name exists
   |
10 | y' = delta*x*y - gamma*y
   |                     +",
    );
}

#[test]
fn a_trajectory_used_as_a_number() {
    check_model(
        "fit.node",
        "data obs = csv(\"d.csv\") {\n  t: [T]\n  x: [T]\n}\ntime t in 0..1\nparam k = 1.0\nstate x = 1.0\n\nx' = -k*x\n\nloss fit = mse(x, obs.x)\n",
        "
error[E0401]: `x` varies with time, and a loss needs a number
  --> fit.node:11:16
   |
11 | loss fit = mse(x, obs.x)
   |                ^ which time?
   |
help: evaluate it at the times of the data
   |
11 | loss fit = mse(x(obs.t), obs.x)
   |                 +++++++
help: or at the end of the run
   |
11 | loss fit = mse(x(end), obs.x)
   |                 +++++",
    );
}

#[test]
fn too_few_equations() {
    check_model(
        "robertson.node",
        "time t in 0..1\nparam k = 0.04\n\n\nstate x = 1.0, y = 0.0, z = 0.0\n\nx' = -k*x\ny' = k*x\n0  = x + y + z - 1\n",
        "
error[E0501]: `z` is a state without an equation
 --> robertson.node:5:25
  |
5 | state x = 1.0, y = 0.0, z = 0.0
  |                         ^ no `z' = ...` in this system
...
9 | 0  = x + y + z - 1
  | ------------------ this constraint has no unknown of its own: 2 rates + 1 constraint, 3 states
  |
  = help: if the constraint determines `z`, declare it `algebraic z = 0.0`
  = help: if `z` changes only in `when` blocks, declare it `discrete z = 0.0`",
    );
}

#[test]
fn a_derivative_that_is_not_linear() {
    check_model(
        "clairaut.node",
        "time t in 0..1\n\nstate x = 1.0\nx'^2 = 1 - x^2\n",
        "
error[E0503]: a system must be linear in its derivatives
 --> clairaut.node:4:1
  |
4 | x'^2 = 1 - x^2
  | ^^^^ `x'` appears squared
  |
  = note: nodec reads the mass matrix off the equations as the coefficients of the primes
  = help: solve for `x'` by hand, or name it: `algebraic v = 1.0`, `x' = v`, `v^2 = 1 - x^2`",
    );
}

#[test]
fn a_channel_that_feeds_back() {
    check_model(
        "flow.node",
        "time t in 0..1\n\nfn net(z, t) = -z*t\n\nstate z: [2] = [1.0, 2.0]\n\n\nchannel ke' = sumsq(z')\nz' = net(z, t) / (1 + ke)\n",
        "
error[E0505]: channel `ke` is used in an equation of motion
 --> flow.node:9:23
  |
8 | channel ke' = sumsq(z')
  | ------- declared a channel here
9 | z' = net(z, t) / (1 + ke)
  |                       ^^ a channel only accumulates; nothing may depend on it during the run
  |
help: if the feedback is meant, make it part of the state
  |
8 + state ke = 0.0
9 + ke' = sumsq(z')
  |",
    );
}

#[test]
fn the_transpose_of_matlab() {
    check_model(
        "gram.node",
        "time t in 0..1\nparam A: [2, 2]\n\nstate x = 1.0\n\nlet G = A' @ A\nx' = -x*sum(G)\n",
        "
error[E0602]: `'` is the time derivative, and `A` does not depend on time
 --> gram.node:6:9
  |
6 | let G = A' @ A
  |         ^^ this would be zero
  |
help: for the transpose write
  |
6 - let G = A' @ A
6 + let G = A.T @ A
  |",
    );
}

#[test]
fn the_gradient_of_a_vector() {
    check_model(
        "field.node",
        "time t in 0..1\nparam W: [3, 3]\n\nstate x: [3] = [1.0, 2, 3]\n\nlet f = tanh(W @ x)\nlet g = grad(f, x)\nx' = -g\n",
        "
error[E0604]: `grad` needs a scalar, found [3]
 --> field.node:7:14
  |
6 | let f = tanh(W @ x)
  |         ----------- computed here
7 | let g = grad(f, x)
  |              ^ this is [3]
  |
  = help: for the matrix of all derivatives write `jac(f, x)`; for one direction `jvp(f, x, v)`; for the trace `div(f, x)`",
    );
}

#[test]
fn the_trap_of_stan() {
    check_model(
        "fit.node",
        "time t in 0..1\nparam k = 1.0\nstate x = 1.0\nx' = -x*k\n\n\n\nlog(k) ~ normal(0, 1)\n",
        "
error[E0214]: the left of `~` must be data, found an expression of params
 --> fit.node:8:1
  |
8 | log(k) ~ normal(0, 1)
  | ^^^^^^ this transforms the param `k`, and the density would need a Jacobian term
  |
help: put the prior on the declaration, on the scale you think in
  |
8 - log(k) ~ normal(0, 1)
8 + param k in positive ~ lognormal(0, 1)
  |",
    );
}

#[test]
fn a_column_that_is_not_in_the_file() {
    let folder = std::env::temp_dir().join(format!("nodec-gallery-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rows: String = (1900..1921).map(|year| format!("{year},30,4\n")).collect();
    std::fs::write(folder.join("hudson_bay.csv"), format!("Year,Hare,Lynx\n{rows}")).unwrap();
    let text = "time t in 0..1\nstate x = 1.0\ndata pelts = csv(\"hudson_bay.csv\") {\n  year: [T] = column(\"Year\")\n  hare: [T]\n}\nx' = -x\n";
    let model = nodec::Model::from_text("lotka.node", text, folder.clone()).unwrap();
    let message = model.bind().build().err().expect("a mistake").render();
    assert_eq!(
        message.trim_end(),
        "
error[E0703]: `hudson_bay.csv` has no column `hare`
 --> lotka.node:5:3
  |
3 | data pelts = csv(\"hudson_bay.csv\") {
  |                  ---------------- has the columns `Year`, `Hare`, `Lynx` (21 rows)
4 |   year: [T] = column(\"Year\")
5 |   hare: [T]
  |   ^^^^ declared here
  |
  = help: `nodec schema hudson_bay.csv` prints a declaration to paste
help: say which column it is
  |
5 |   hare: [T] = column(\"Hare\")
  |             ++++++++++++++++"
            .trim_start()
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_mistyped_setting() {
    let model = nodec::Model::parse("param k = 1.0\ntime t in 0..1\nstate x = 1.0\nx' = -k*x\n").unwrap();
    let message = model.bind().assign("lrate=3e-4").build().err().expect("a mistake").render();
    assert_eq!(
        message.trim_end(),
        "
error[E0801]: no setting or param is called `lrate`
 --> command line:1:7
  |
1 | --set lrate=3e-4
  |       ^^^^^ not in this model
  |
  = help: did you mean `lr`, which is `train.optimizer.lr` (now 1e-3)?
  = help: `nodec config model.node` lists every setting with its value and where it came from"
            .trim_start()
    );
}
