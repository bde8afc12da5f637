//! Wide code against the interpreter, lane by lane and to the last bit; and the machine code against
//! an independent decoder.

use crate::backends::{Data, call_lanes};
use nodec::backend::Backend;
use nodec::backend::cranelift::{Along, Baseline, Cranelift};
use nodec::backend::interp::Interp;
use nodec::backend::lanes::{LaneFunc, Spread, one_by_one};
use nodec::backend::wide::{self, Isa};
use nodec::ir::builder::Builder;
use nodec::ir::op::Op;
use nodec::ir::types::{DType, Type};
use nodec::lower::loops::{LoopFunc, Target};
use nodec::lower::lower_within;
use std::sync::Arc;

/// The instruction sets of this machine, or what is done without.
fn isas() -> Vec<Option<Isa>> {
    let supported = Isa::ALL.into_iter().filter(|isa| isa.is_supported()).map(Some);
    let supported: Vec<Option<Isa>> = supported.collect();
    if supported.is_empty() { vec![None] } else { supported }
}

/// `func` in wide code of every kind that this machine runs gives what the interpreter gives lane by lane: for 8
/// and for 16 lanes, with operands in common and of their own, results in lanes and summed. The lanes
/// differ from `args` a little, except in indices and truth values. An output that is summed (`sums`) has
/// to be written once.
pub fn agrees(func: &LoopFunc, args: &[Data], sums: bool) {
    for width in [8, 16] {
        for shared in [0usize, 0b10_1101, usize::MAX] {
            let spread = |i: usize| if shared >> (i % 64) & 1 == 1 { Spread::Shared } else { Spread::Lanes };
            let inputs: Vec<Spread> = (0..args.len()).map(spread).collect();
            let result = |(i, id): (usize, &_)| {
                let float = sums && func.buffers[*id].dtype.is_float();
                if float && (i + shared.count_ones() as usize) % 2 == 1 { Spread::Sum } else { Spread::Lanes }
            };
            let outputs: Vec<Spread> = func.outputs.iter().enumerate().map(result).collect();
            let lane_func = LaneFunc { func: func.clone(), inputs: inputs.clone(), outputs };
            let spread_args: Vec<Data> = args
                .iter()
                .zip(&inputs)
                .map(
                    |(arg, spread)| if *spread == Spread::Lanes { in_lanes(arg, width) } else { arg.clone() },
                )
                .collect();
            let interp = Interp::new(Target::new(true));
            let reference =
                one_by_one(vec![lane_func.clone()], width, |module| interp.compile(module)).unwrap();
            let expected = call_lanes(&*reference, &spread_args);
            for isa in isas() {
                let funcs = vec![lane_func.clone()];
                let made = match isa {
                    Some(isa) => Along(isa).compile_lanes(funcs, width),
                    None => Cranelift.compile_lanes(funcs, width),
                };
                let made = made.unwrap();
                // Twice: what the first call leaves in the workspace is not read.
                for _ in 0..2 {
                    let got = call_lanes(&*made, &spread_args);
                    for (a, b) in expected.iter().zip(&got) {
                        assert_eq!(
                            a.bits(),
                            b.bits(),
                            "{isa:?}, width {width} of {inputs:?}\n{a:?}\n{b:?}\n{func}"
                        );
                    }
                }
            }
        }
    }
}

/// Each element `width` times, floats a little different in each lane.
fn in_lanes(data: &Data, width: usize) -> Data {
    fn spread<T: Copy>(all: &[T], width: usize, of: impl Fn(T, usize) -> T) -> Vec<T> {
        all.iter().flat_map(|x| (0..width).map(|lane| of(*x, lane)).collect::<Vec<T>>()).collect()
    }
    match data {
        Data::F64(all) => Data::F64(spread(all, width, |x, lane| x - x * (lane as f64 / 1024.0))),
        Data::F32(all) => Data::F32(spread(all, width, |x, lane| x - x * (lane as f32 / 1024.0))),
        Data::I64(all) => Data::I64(spread(all, width, |x, _| x)),
        Data::Bool(all) => Data::Bool(spread(all, width, |x, _| x)),
    }
}

/// What `agrees` compares is wide code, not the portable way twice: no function of the suite is without.
pub fn must_be_wide(func: &LoopFunc) {
    let inputs = vec![Spread::Lanes; func.inputs.len()];
    let outputs = vec![Spread::Lanes; func.outputs.len()];
    let lane_func = LaneFunc { func: func.clone(), inputs, outputs };
    for isa in Isa::ALL {
        if let Err(why) = wide::code(&lane_func, 16, isa) {
            let of_bytes = ["a computed index of bytes", "a computed index of what is stored"];
            assert!(of_bytes.contains(&why), "{why}, {isa:?}\n{func}");
        }
    }
}

#[test]
fn rows_go_along_and_few_scalars_do_not() {
    let func = |len: usize| {
        let mut b = Builder::new("f");
        let x = b.param("x", Type::new(DType::F64, &[len]));
        let (square, sine) = (b.mul(x, x), b.unary(Op::Sin, x));
        let y = b.add(square, sine);
        b.finish(vec![("y".into(), y)])
    };
    for (len, rows) in [(2, false), (100, true)] {
        let [usual, long] = [16, 1].map(|limit| {
            lower_within(&func(len), Cranelift.target(), limit).expect("everything in it has loops")
        });
        assert_eq!(Cranelift.goes_along(&long, &usual), rows && wide::native().is_some());
        assert!(!Baseline.goes_along(&long, &usual));
    }
}

#[test]
fn machines_without_wide_code_go_lane_by_lane() {
    assert_eq!(Arc::new(Cranelift).is_wide(), wide::native().is_some());
    assert_eq!(wide::native(), isas()[0]);
}
