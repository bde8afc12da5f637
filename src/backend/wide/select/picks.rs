//! Elements at places that are known when the code is made: out of vectors of neighbours instead of one by
//! one.

use super::{Parts, Select, Unsupported};
use crate::backend::wide::alone::coefficient;
use crate::backend::wide::encode as x;
use crate::backend::wide::vector::{At, Fill, Home, Inst, Value};
use crate::lower::loops::{BufferId, BufferKind, DType, Index, Prim, ScalarId};

/// Most vectors of neighbours that a vector is picked from.
const MOST_WINDOWS: usize = 5;

impl Select<'_> {
    /// Takes note of integers out of a table.
    pub(super) fn look_up(&mut self, id: ScalarId, buffer: BufferId, index: &Index) {
        let BufferKind::Constant(table) = &self.func.buffers[buffer].kind else { return };
        let Some(group) = self.strip().filter(|group| group.step() == 0) else { return };
        let alone = index.terms.iter().all(|(var, _)| *var == group.var) && index.dynamic.is_none();
        if !alone || self.dtype(id) != DType::I64 {
            return;
        }
        let (step, first) = (coefficient(index, group.var), group.first(self.turn) as i64);
        let number = |lane: usize| {
            let at = index.offset + step * (first + lane as i64);
            f64::from_bits(table[at as usize]) as i64
        };
        let numbers = (0..self.valid()).map(number).collect();
        self.numbers.insert((id, self.turn), numbers);
    }

    /// Takes note of what is computed from such integers.
    pub(super) fn reckon(&mut self, id: ScalarId, prim: Prim, args: &[ScalarId]) {
        if self.dtype(id) != DType::I64 || !matches!(prim, Prim::Add | Prim::Mul | Prim::Min | Prim::Max) {
            return;
        }
        let known = |arg: ScalarId, lane: usize| match self.numbers.get(&(arg, self.turn)) {
            Some(numbers) => numbers.get(lane).map(|number| *number as u64),
            None => self.constants.get(&arg).copied(),
        };
        let Some(lanes) = args.iter().find_map(|arg| self.numbers.get(&(*arg, self.turn))) else { return };
        let both = |lane: usize| Some([known(args[0], lane)?, known(args[1], lane)?]);
        let number = |lane: usize| Some(prim.eval(DType::I64, DType::I64, &both(lane)?) as i64);
        if let Some(numbers) = (0..lanes.len()).map(number).collect::<Option<Vec<i64>>>() {
            self.numbers.insert((id, self.turn), numbers);
        }
    }

    /// Elements at places that move by `step` from lane to lane and by a computed number, if these are known
    /// and not too far apart.
    pub(super) fn picked(
        &mut self,
        buffer: BufferId,
        at: At,
        (step, dynamic): (i64, Option<ScalarId>),
    ) -> Result<Option<Parts>, Unsupported> {
        if !self.machine.has(&x::PERMUTE_PD) || self.func.buffers[buffer].dtype.bytes() != 8 {
            return Ok(None);
        }
        let mut places: Vec<i64> = (0..self.valid()).map(|lane| step * lane as i64).collect();
        if let Some(dynamic) = dynamic {
            let Some(numbers) = self.numbers.get(&(dynamic, self.turn)) else { return Ok(None) };
            places.iter_mut().zip(numbers).for_each(|(place, number)| *place += number);
        }
        let eights = self.eights();
        let mut parts = Parts::new();
        for part in 0..self.parts(DType::F64) {
            let places = &places[(part * eights).min(places.len())..((part + 1) * eights).min(places.len())];
            if places.is_empty() {
                parts.push(self.splat8(0)?);
                continue;
            }
            let Some(value) = self.out_of_windows(buffer, at, places)? else { return Ok(None) };
            parts.push(value);
        }
        Ok(Some(parts))
    }

    fn out_of_windows(
        &mut self,
        buffer: BufferId,
        at: At,
        places: &[i64],
    ) -> Result<Option<Value>, Unsupported> {
        let eights = self.eights() as i64;
        let mut sorted = places.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        // Where each begins, and its last element that is wanted.
        let mut windows: Vec<(i64, i64)> = Vec::new();
        for place in sorted {
            match windows.last_mut() {
                Some((begin, last)) if place < *begin + eights => *last = place,
                _ => windows.push((place, place)),
            }
        }
        if windows.len() > MOST_WINDOWS {
            return Ok(None);
        }
        let first = windows[0];
        let mut value = self.window(buffer, at, first)?;
        let is_there = |(lane, place): (usize, &i64)| *place == first.0 + lane as i64;
        if windows.len() == 1 {
            if first.0 == first.1 && first.0 == places[0] || places.iter().enumerate().all(is_there) {
                return Ok(Some(value));
            }
            let numbers = self.table(places.iter().map(|place| place - first.0))?;
            return Ok(Some(self.ordered(x::PERMUTE_PD, numbers, value)));
        }
        for (number, (begin, last)) in windows.iter().enumerate().skip(1) {
            let window = self.window(buffer, at, (*begin, *last))?;
            let from = |(lane, place): (usize, &i64)| {
                if (*begin..=*last).contains(place) {
                    eights + place - begin
                } else if number == 1 && (first.0..=first.1).contains(place) {
                    place - first.0
                } else {
                    lane as i64
                }
            };
            let numbers = self.table(places.iter().enumerate().map(from))?;
            let dst = self.fresh();
            let form = x::PERMUTE_BOTH;
            self.push(Inst::Ternary { form, dst, a: value, b: numbers, mask: window, imm: None });
            value = dst;
        }
        Ok(Some(value))
    }

    /// A vector of integers, one for each lane.
    fn table(&mut self, numbers: impl Iterator<Item = i64>) -> Result<Value, Unsupported> {
        let mut bytes: Vec<u8> = numbers.flat_map(i64::to_le_bytes).collect();
        bytes.resize(self.machine.bytes(), 0);
        self.constant(&bytes, Fill::Full(self.machine.full))
    }

    /// Neighbours, of which those from `begin` to `last` are wanted, or that one in every lane.
    fn window(&mut self, buffer: BufferId, at: At, (begin, last): (i64, i64)) -> Result<Value, Unsupported> {
        let disp = i32::try_from(8 * begin).ok().and_then(|by| at.disp.checked_add(by));
        let at = At { disp: disp.ok_or("a large buffer")?, ..at };
        let of = &self.func.buffers[buffer];
        let ours = matches!(of.kind, BufferKind::Local(_) | BufferKind::Constant(_)) && of.dtype.is_float();
        let read_only = matches!(of.kind, BufferKind::Input | BufferKind::Constant(_));
        let (count, full) = ((last - begin) as usize + 1, self.machine.full);
        let fill = match count {
            1 => Fill::Splat8,
            _ if ours || count == self.eights() => Fill::Full(full),
            _ => Fill::Part { count: count as u8, double: true, len: full, mask: 0 },
        };
        if read_only {
            return Ok(self.value(Home::Memory(at, fill)));
        }
        let dst = self.fresh();
        self.push(Inst::Load { dst, at, fill });
        Ok(dst)
    }
}
