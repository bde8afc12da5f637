//! What the forward call keeps for the reverse: all bits as without, and of what is kept the cheapest.

use nodec::ad::{Kept, keep, vjp_func};
use nodec::backend::Backend;
use nodec::backend::cranelift::Cranelift;
use nodec::ir::builder::Builder;
use nodec::ir::func::{Func, ValueId};
use nodec::ir::op::Op;
use nodec::ir::types::{DType, Shape, Type};
use nodec::ir::verify::verify;
use nodec::opt::optimise;
use nodec::plan::unit::compile;

fn ty(dims: &[usize]) -> Type {
    Type { dtype: DType::F64, shape: Shape::new(dims) }
}

/// `x: [n], w: [n, n] -> y`, made by `make`, and its reverse by both.
fn both(n: usize, make: impl Fn(&mut Builder, ValueId, ValueId) -> ValueId) -> (Func, Func) {
    let mut b = Builder::new("f");
    let (x, w) = (b.param("x", ty(&[n])), b.param("w", ty(&[n, n])));
    let y = make(&mut b, x, w);
    let func = optimise(b.finish(vec![("y".into(), y)]));
    let reverse = optimise(vjp_func(&func, &[0, 1], &[0]).expect("it has derivatives"));
    (func, reverse)
}

fn ops(func: &Func, op: Op) -> usize {
    func.nodes.iter().filter(|node| node.op == op).count()
}

/// The results of `func` at `args`, compiled.
fn run(func: &Func, args: &[Vec<f64>]) -> Vec<Vec<f64>> {
    verify(func).expect("a sound function");
    let [kernel] = compile([func], &Cranelift as &dyn Backend).expect("it compiles");
    let mut results: Vec<Vec<f64>> = func.result_types().map(|ty| vec![0.0; ty.shape.count()]).collect();
    let inputs: Vec<_> = args.iter().map(|arg| nodec::backend::Input::F64(arg)).collect();
    let mut outputs: Vec<_> = results.iter_mut().map(|out| nodec::backend::Output::F64(out)).collect();
    kernel.call(&inputs, &mut outputs, &mut Default::default());
    drop(outputs);
    results
}

/// Numbers whose sums and products are not exact.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|at| ((at * 7 + seed * 13 + 3) as f64 * 0.618_033_988_7).fract() - 0.4).collect()
}

/// Checks that all bits of `func` and `reverse` are as without what is kept.
fn check(n: usize, (func, reverse): &(Func, Func), kept: &Kept) {
    let args = vec![numbers(n, 1), numbers(n * n, 2)];
    let known = run(func, &args);
    let mut forward = run(&kept.forward, &args);
    let numbers_kept = forward.pop().expect("what is kept comes last");
    assert_eq!((&forward, numbers_kept.len()), (&known, kept.len));
    let bar = numbers(known[0].len(), 3);
    let expected = run(reverse, &[args.clone(), vec![bar.clone()]].concat());
    assert!(expected.iter().flatten().any(|g| g.abs() > 1e-3));
    assert_eq!(run(&kept.reverse, &[args, vec![bar, numbers_kept]].concat()), expected);
}

#[test]
fn the_reverse_of_a_net_computes_no_activation_again() {
    let n = 20;
    let net = both(n, |b, x, w| {
        let mut x = x;
        for _ in 0..3 {
            let product = b.matmul(w, x);
            x = b.unary(Op::Tanh, product);
        }
        x
    });
    let kept = keep(&net.0, &net.1).expect("activations are worth it");
    // Of each layer what its `tanh` gives: the reverse needs `1 - tanh²`, and that as the next operand.
    assert_eq!(kept.len, 3 * n);
    assert_eq!((ops(&net.1, Op::Tanh), ops(&kept.reverse, Op::Tanh)), (3, 0));
    // Three outer products and three products with the transposed matrix less the first, which is by `x`.
    assert_eq!(ops(&net.1, Op::Contract) - ops(&kept.reverse, Op::Contract), 3);
    check(n, &net, &kept);
}

#[test]
fn what_is_cheap_is_computed_again() {
    let n = 20;
    let cheap = both(n, |b, x, w| {
        let diagonal = b.reshape(w, Shape::new(&[n * n]));
        let diagonal = b.part(diagonal, 0, n);
        let square = b.mul(x, diagonal);
        b.mul(square, square)
    });
    assert!(keep(&cheap.0, &cheap.1).is_none());
    // The reverse needs `p·p` and `p`, where `p` is dear.
    let mixed = both(n, |b, x, w| {
        let p = b.matmul(w, x);
        let square = b.mul(p, p);
        let cube = b.mul(square, p);
        b.mul(cube, square)
    });
    let kept = keep(&mixed.0, &mixed.1).expect("a product of matrices is");
    assert_eq!(kept.len, n);
    check(n, &mixed, &kept);
}

/// One number instead of many, where these have no other use.
#[test]
fn the_narrowest_place_is_kept() {
    let n = 20;
    let narrow = both(n, |b, x, w| {
        let p = b.matmul(w, x);
        let e = b.unary(Op::Exp, p);
        let sum = b.sum(e);
        let log = b.unary(Op::Log, sum);
        let sine = b.unary(Op::Sin, log);
        b.mul(sine, sine)
    });
    let kept = keep(&narrow.0, &narrow.1).expect("it is dear");
    // The exponentials, their sum, and of it sine and cosine: the cosine is not the function's, so that
    // its operand is kept.
    assert_eq!(kept.len, n + 3);
    check(n, &narrow, &kept);
}

/// A sum rounds with a product that nothing else uses, not with one that something uses. What uses it in
/// the reverse is not what does in the function, nor what is left when values are kept; the bits are.
#[test]
fn products_are_rounded_as_before() {
    let n = 6;
    let rounded = both(n, |b, x, w| {
        let p = b.matmul(w, x);
        let e = b.unary(Op::Exp, p);
        // Used twice; the exponential is kept, and then the sum is the only user.
        let shared = b.mul(x, x);
        let (s, t) = (b.add(shared, e), b.unary(Op::Exp, shared));
        let s = b.unary(Op::Sin, s);
        let u = b.sub(s, t);
        // Used once, but the derivative of `tanh` uses it as well.
        let y = b.unary(Op::Tanh, u);
        let square = b.mul(y, y);
        let v = b.add(square, e);
        let sine = b.unary(Op::Sin, v);
        b.mul(sine, v)
    });
    let kept = keep(&rounded.0, &rounded.1).expect("it is dear");
    assert!(ops(&kept.reverse, Op::StopGradient) > 0, "{}", kept.reverse);
    check(n, &rounded, &kept);
}
